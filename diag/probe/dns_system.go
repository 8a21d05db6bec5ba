package probe

import (
	"bufio"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"mqttdoctor/diag"
)

// systemDNS is how this machine resolves names.
type systemDNS struct {
	servers []string // host:port
	search  []string // domains tried for names without a dot
}

const maxServers = 4 // resolv.conf(5) allows three

// readSystemDNS reads the system's configuration; servers is empty where it has none that can be read.
func readSystemDNS(env *diag.Env) systemDNS {
	if env.Resolvers != nil {
		return systemDNS{servers: env.Resolvers}
	}
	config, err := dns.ClientConfigFromFile("/etc/resolv.conf")
	if err != nil {
		return systemDNS{}
	}
	s := systemDNS{search: config.Search}
	for _, server := range config.Servers {
		if len(s.servers) < maxServers {
			s.servers = append(s.servers, net.JoinHostPort(server, config.Port))
		}
	}
	return s
}

func hostsPath(env *diag.Env) string {
	if env.HostsFile != "" {
		return env.HostsFile
	}
	if runtime.GOOS == "windows" {
		return filepath.Join(os.Getenv("SystemRoot"), `System32\drivers\etc\hosts`)
	}
	return "/etc/hosts"
}

const maxHostsLines = 100_000 // files that block advertisements are long

// hostsLookup finds a name in the hosts file (hosts(5)).
func hostsLookup(path, name string) []string {
	file, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer file.Close()
	var out []string
	scanner := bufio.NewScanner(file)
	for line := 0; line < maxHostsLines && scanner.Scan(); line++ {
		text, _, _ := strings.Cut(scanner.Text(), "#")
		fields := strings.Fields(text)
		if len(fields) < 2 {
			continue
		}
		addr, err := netip.ParseAddr(fields[0])
		if err != nil || !slices.ContainsFunc(fields[1:], func(f string) bool { return strings.EqualFold(strings.TrimSuffix(f, "."), name) }) {
			continue
		}
		if a := addr.String(); !slices.Contains(out, a) {
			out = append(out, a)
		}
	}
	return out
}
