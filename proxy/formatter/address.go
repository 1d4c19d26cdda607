package formatter

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/network"
)

// addressOf picks one of a stream's addresses.
type addressOf func(*Context) network.Address

func downstreamRemote(c *Context) network.Address       { return c.Info.DownstreamRemote }
func downstreamDirectRemote(c *Context) network.Address { return c.Info.DownstreamDirectRemote }
func downstreamLocal(c *Context) network.Address        { return c.Info.DownstreamLocal }
func downstreamDirectLocal(c *Context) network.Address  { return c.Info.DownstreamDirectLocal }
func upstreamHost(c *Context) network.Address           { return c.Info.UpstreamHost }
func upstreamLocal(c *Context) network.Address          { return c.Info.UpstreamLocal }

func upstreamRemote(c *Context) network.Address {
	if c.Info.UpstreamRemote.IsSet() {
		return c.Info.UpstreamRemote
	}
	if c.Info.UpstreamLocal.IsSet() { // connected
		return c.Info.UpstreamHost
	}
	return network.Address{}
}

func address(of addressOf) command {
	return plain(func(dst []byte, c *Context) ([]byte, kind) { return appendAddress(dst, of(c)) })
}

func appendAddress(dst []byte, a network.Address) ([]byte, kind) {
	switch {
	case a.IsPipe():
		return append(dst, a.Path...), text
	case a.IsSet():
		return a.AddrPort.AppendTo(dst), text
	}
	return dst, none
}

func appendAddressWithoutPort(dst []byte, a network.Address) ([]byte, kind) {
	switch {
	case a.IsPipe():
		return append(dst, a.Path...), text
	case a.IsSet():
		return a.Addr().AppendTo(dst), text
	}
	return dst, none
}

// addressWithoutPort is X_ADDRESS_WITHOUT_PORT(bits); with bits, the address
// is printed as the network of that prefix length.
func addressWithoutPort(of addressOf) command {
	return command{params: mayParam, make: func(param string) (operator, error) {
		bits, err := strconv.ParseUint(param, 10, 8)
		if err != nil { // Envoy does not mind
			return func(dst []byte, c *Context) ([]byte, kind) { return appendAddressWithoutPort(dst, of(c)) }, nil
		}
		return func(dst []byte, c *Context) ([]byte, kind) { return appendNetwork(dst, of(c), int(bits)) }, nil
	}}
}

func appendNetwork(dst []byte, a network.Address, bits int) ([]byte, kind) {
	if a.IsPipe() || !a.IsSet() {
		return dst, none
	}
	p, err := a.Addr().Prefix(min(bits, a.Addr().BitLen()))
	if err != nil {
		return dst, none
	}
	return netip.PrefixFrom(p.Addr(), p.Bits()).AppendTo(dst), text
}

func port(of addressOf) command {
	return plain(func(dst []byte, c *Context) ([]byte, kind) {
		a := of(c)
		if a.IsPipe() || !a.IsSet() {
			return dst, none
		}
		return strconv.AppendUint(dst, uint64(a.Port()), 10), literal
	})
}

// compileRequestedServerName is
// REQUESTED_SERVER_NAME(SNI_ONLY|SNI_FIRST|HOST_FIRST:ORIG|HOST|ORIG_OR_HOST).
func compileRequestedServerName(param string) (operator, error) {
	order, source, _ := strings.Cut(param, ":")
	switch order {
	case "", "SNI_ONLY", "SNI_FIRST", "HOST_FIRST":
	default:
		return nil, fmt.Errorf("the first option is SNI_ONLY, SNI_FIRST or HOST_FIRST, not %q", order)
	}
	switch source {
	case "", "ORIG", "HOST", "ORIG_OR_HOST":
	default:
		return nil, fmt.Errorf("the host's source is ORIG, HOST or ORIG_OR_HOST, not %q", source)
	}
	return func(dst []byte, c *Context) ([]byte, kind) {
		name := c.Info.RequestedServerName
		if order == "HOST_FIRST" || order == "SNI_FIRST" && name == "" {
			if host := requestHost(c.RequestHeaders, source); host != "" {
				return append(dst, host...), text
			}
		}
		return appendServerName(dst, name)
	}, nil
}

// requestHost is the request's host as it was sent, with its port.
func requestHost(h *http.HeaderMap, source string) string {
	if h == nil {
		return ""
	}
	host := ""
	if source != "HOST" {
		host = h.Get(http.XEnvoyOriginalHost)
	}
	if host == "" && source != "ORIG" {
		host = h.Get(http.Authority)
	}
	return host
}

// appendServerName replaces what can't be in a host name: a client chose it.
func appendServerName(dst []byte, name string) ([]byte, kind) {
	start := len(dst)
	dst, k := appendString(dst, name)
	for i := start; i < len(dst); i++ {
		c := dst[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '.' || c == '_') {
			dst[i] = '_'
		}
	}
	return dst, k
}
