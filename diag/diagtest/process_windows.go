package diagtest

import (
	"errors"
	"os/exec"
	"strconv"

	"golang.org/x/sys/windows"
)

// lead does nothing: endGroup finds the children of a process by itself.
func lead(*exec.Cmd) {}

// endGroup kills a process and its children: there is no asking.
func endGroup(pid int, kill bool) {
	if kill {
		_ = exec.Command("taskkill", "/T", "/F", "/PID", strconv.Itoa(pid)).Run()
	}
}

// hang is not to be had here.
func hang(int) error { return errors.ErrUnsupported }

// hasEnded tells whether a child has ended, without waiting. Its id is not another's before it was waited for.
func hasEnded(pid int) bool {
	h, err := windows.OpenProcess(windows.SYNCHRONIZE, false, uint32(pid))
	if err != nil {
		return true
	}
	defer windows.CloseHandle(h) //nolint:errcheck // of a test
	event, err := windows.WaitForSingleObject(h, 0)
	return err == nil && event == windows.WAIT_OBJECT_0
}

// asPostgres does nothing: PostgreSQL gives up an administrator's rights by itself.
func asPostgres(string) (func(*exec.Cmd), error) { return func(*exec.Cmd) {}, nil }
