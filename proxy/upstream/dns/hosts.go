package dns

import (
	"bufio"
	"net/netip"
	"os"
	"slices"
	"strings"
)

// lookupHosts finds a name in a file like hosts(5).
func lookupHosts(path, name string, f Family) []netip.Addr {
	file, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer file.Close()
	name = strings.TrimSuffix(name, ".")
	var v4, v6 []netip.Addr
	for lines := bufio.NewScanner(file); lines.Scan(); {
		line, _, _ := strings.Cut(lines.Text(), "#")
		fields := strings.Fields(line)
		if len(fields) < 2 || !slices.ContainsFunc(fields[1:], func(s string) bool { return strings.EqualFold(s, name) }) {
			continue
		}
		ip, err := netip.ParseAddr(fields[0])
		switch {
		case err != nil:
		case ip.Unmap().Is4():
			v4 = add(v4, ip.Unmap())
		default:
			v6 = add(v6, ip)
		}
	}
	return choose(v4, v6, f)
}

func add(list []netip.Addr, ip netip.Addr) []netip.Addr {
	if slices.Contains(list, ip) {
		return list
	}
	return append(list, ip)
}
