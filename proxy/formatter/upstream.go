package formatter

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/weirproxy/weir/proxy/streaminfo"
)

func appendUpstreamCluster(dst []byte, c *Context) ([]byte, kind) {
	if c.Info.ClusterStatName != "" {
		return appendString(dst, c.Info.ClusterStatName)
	}
	return appendString(dst, c.Info.Cluster)
}

func appendUpstreamHostname(dst []byte, c *Context) ([]byte, kind) {
	if c.Info.UpstreamHostname != "" {
		return appendString(dst, c.Info.UpstreamHostname)
	}
	return appendAddress(dst, c.Info.UpstreamHost)
}

func appendUpstreamHostnameWithoutPort(dst []byte, c *Context) ([]byte, kind) {
	if c.Info.UpstreamHostname != "" {
		return appendString(dst, withoutPort(c.Info.UpstreamHostname))
	}
	return appendAddressWithoutPort(dst, c.Info.UpstreamHost)
}

// withoutPort removes ":port" from a host name or address.
func withoutPort(host string) string {
	i := strings.LastIndexByte(host, ':')
	if i < 0 || strings.HasSuffix(host, "]") || strings.IndexByte(host[:i], ':') >= 0 && host[0] != '[' {
		return host
	}
	if _, err := strconv.ParseUint(host[i+1:], 10, 16); err != nil {
		return host
	}
	return host[:i]
}

// downstreamCloseType is "Normal" unless a reset was seen.
func downstreamCloseType(c *Context) string {
	if c.Info.DownstreamCloseType == "" {
		return "Normal"
	}
	return c.Info.DownstreamCloseType
}

func upstreamCloseType(c *Context) string {
	if c.Info.UpstreamCloseType == "" && c.Info.UpstreamHost.IsSet() {
		return "Normal"
	}
	return c.Info.UpstreamCloseType
}

// appendAttempts appends a comma-separated list of something of each attempt;
// what was there before is left out.
func appendAttempts(dst []byte, c *Context, add func([]byte, *streaminfo.Attempt) ([]byte, kind)) ([]byte, kind) {
	start := len(dst)
	for i := range c.Info.Attempts {
		end := len(dst)
		if end > start {
			dst = append(dst, ',')
		}
		from := len(dst)
		out, k := add(dst, &c.Info.Attempts[i])
		if k == none || listed(out[start:end], out[from:]) {
			dst = out[:end]
			continue
		}
		dst = out
	}
	if len(dst) == start {
		return dst, none
	}
	return dst, text
}

// listed tells whether item is in a comma-separated list.
func listed(list, item []byte) bool {
	for len(list) > 0 {
		var one []byte
		one, list, _ = bytes.Cut(list, []byte{','})
		if bytes.Equal(one, item) {
			return true
		}
	}
	return false
}

func appendHostsAttempted(dst []byte, c *Context) ([]byte, kind) {
	return appendAttempts(dst, c, func(dst []byte, a *streaminfo.Attempt) ([]byte, kind) {
		return appendAddress(dst, a.Host)
	})
}

func appendHostsAttemptedWithoutPort(dst []byte, c *Context) ([]byte, kind) {
	return appendAttempts(dst, c, func(dst []byte, a *streaminfo.Attempt) ([]byte, kind) {
		return appendAddressWithoutPort(dst, a.Host)
	})
}

func appendHostnamesAttempted(dst []byte, c *Context) ([]byte, kind) {
	return appendAttempts(dst, c, func(dst []byte, a *streaminfo.Attempt) ([]byte, kind) {
		if a.Hostname != "" {
			return appendString(dst, a.Hostname)
		}
		return appendAddress(dst, a.Host)
	})
}

func appendHostnamesAttemptedWithoutPort(dst []byte, c *Context) ([]byte, kind) {
	return appendAttempts(dst, c, func(dst []byte, a *streaminfo.Attempt) ([]byte, kind) {
		if a.Hostname != "" {
			return appendString(dst, withoutPort(a.Hostname))
		}
		return appendAddressWithoutPort(dst, a.Host)
	})
}

func appendConnectionIDsAttempted(dst []byte, c *Context) ([]byte, kind) {
	return appendAttempts(dst, c, func(dst []byte, a *streaminfo.Attempt) ([]byte, kind) {
		if a.ConnID == 0 {
			return dst, none
		}
		return strconv.AppendUint(dst, a.ConnID, 10), text
	})
}
