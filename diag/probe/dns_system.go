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
	search  []string // domains that are tried behind a name
	ndots   int      // dots from which on a name is tried as it is first
}

const (
	maxServers = 4 // resolv.conf(5) allows three
	maxSearch  = 6 // and six search domains, as long as it bounded them
)

// names lists what is asked for in place of a name, in order, as resolv.conf(5) has it: a name of few dots goes through the
// search domains first, any other one last.
func (s systemDNS) names(name string) []string {
	var searched []string
	for _, domain := range s.search {
		if domain = strings.Trim(domain, "."); domain != "" && len(searched) < maxSearch {
			searched = append(searched, name+"."+domain)
		}
	}
	if strings.Count(name, ".") >= s.ndots {
		return append([]string{name}, searched...)
	}
	return append(searched, name)
}

// readSystemDNS reads the system's configuration; servers is empty where it has none that can be read.
func readSystemDNS(env *diag.Env) systemDNS {
	path := env.ResolvConf
	if path == "" {
		path = "/etc/resolv.conf"
		if env.Resolvers != nil {
			return systemDNS{servers: env.Resolvers, ndots: 1}
		}
	}
	config, err := dns.ClientConfigFromFile(path)
	if err != nil {
		return systemDNS{servers: env.Resolvers, ndots: 1}
	}
	s := systemDNS{search: config.Search, ndots: config.Ndots, servers: env.Resolvers}
	if len(config.Servers) == 0 {
		config.Servers = []string{"127.0.0.1"} // what a file without servers means
	}
	for _, server := range config.Servers {
		if len(s.servers) < maxServers && env.Resolvers == nil {
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
