package formatter

import (
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

// appendAttempts appends a comma-separated list of something of each attempt.
func appendAttempts(dst []byte, c *Context, add func([]byte, *streaminfo.Attempt) ([]byte, kind)) ([]byte, kind) {
	found := none
	for i := range c.Info.Attempts {
		before := len(dst)
		if found != none {
			dst = append(dst, ',')
		}
		out, k := add(dst, &c.Info.Attempts[i])
		if k == none {
			dst = dst[:before]
			continue
		}
		dst, found = out, text
	}
	return dst, found
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
