//go:build unix

package diagtest

import (
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"syscall"
)

// lead makes a command the leader of its own process group.
func lead(cmd *exec.Cmd) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
}

// endGroup asks a process group to end, or kills it.
func endGroup(pid int, kill bool) {
	signal := syscall.SIGTERM
	if kill {
		signal = syscall.SIGKILL
	}
	_ = syscall.Kill(-pid, signal)
	_ = syscall.Kill(-pid, syscall.SIGCONT) // one that hangs hears it only then
}

// hang stops a process group where it stands.
func hang(pid int) error { return syscall.Kill(-pid, syscall.SIGSTOP) }

// hasEnded tells whether a child has ended, without waiting. Its exit status is taken by that.
func hasEnded(pid int) bool {
	ended, err := syscall.Wait4(pid, nil, syscall.WNOHANG, nil)
	return ended == pid || err == syscall.ECHILD
}

// asPostgres makes a folder that of the user whom PostgreSQL runs as, which refuses to be root, and returns what makes a command
// run as him: nothing where this user is not root.
func asPostgres(dir string) (func(*exec.Cmd), error) {
	if os.Geteuid() != 0 {
		return func(*exec.Cmd) {}, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		if u, err = user.Lookup("nobody"); err != nil {
			return nil, err
		}
	}
	uid, _ := strconv.ParseUint(u.Uid, 10, 32)
	gid, _ := strconv.ParseUint(u.Gid, 10, 32)
	who := &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return func(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Credential: who} }, os.Chown(dir, int(uid), int(gid))
}
