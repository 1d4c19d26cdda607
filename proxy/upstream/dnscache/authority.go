package dnscache

import (
	"net"
	"strconv"
	"strings"
)

// Split divides what a request names into host and port; without a port the
// given one holds. ok is false when there is no host, or the port is none.
func Split(authority string, defaultPort uint16) (host string, port uint16, ok bool) {
	host, port = authority, defaultPort
	i := strings.LastIndexByte(authority, ':')
	if i > strings.LastIndexByte(authority, ']') && strings.IndexByte(authority, ':') == i || i >= 0 && authority[0] == '[' && i > strings.IndexByte(authority, ']') {
		n, err := strconv.ParseUint(authority[i+1:], 10, 16)
		if err != nil {
			return "", 0, false
		}
		host, port = authority[:i], uint16(n)
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	return host, port, host != ""
}

// Key is how an entry is found.
func Key(host string, port uint16) string { return net.JoinHostPort(host, strconv.Itoa(int(port))) }
