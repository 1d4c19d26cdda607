package tree

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"strings"

	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/matcher"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/streaminfo"
)

// input reads a value of the data.
type input func(d *Data) value

// headerInput reads a header; several lines are joined by ",".
func headerInput(of func(*Data) *http.HeaderMap, name string) input {
	return func(d *Data) value {
		h := of(d)
		if h == nil {
			return pending
		}
		s, found := h.Joined(name)
		if !found {
			return missing
		}
		return text(s)
	}
}

func requestHeaders(d *Data) *http.HeaderMap   { return d.RequestHeaders }
func requestTrailers(d *Data) *http.HeaderMap  { return d.RequestTrailers }
func responseHeaders(d *Data) *http.HeaderMap  { return d.ResponseHeaders }
func responseTrailers(d *Data) *http.HeaderMap { return d.ResponseTrailers }

// queryInput reads the first query parameter of that name. Both are decoded,
// unlike those of routes.
func queryInput(name string) input {
	return func(d *Data) value {
		if d.RequestHeaders == nil {
			return pending
		}
		_, query, _ := strings.Cut(d.RequestHeaders.Get(http.Path), "?")
		for pair := range strings.SplitSeq(query, "&") {
			key, s, _ := strings.Cut(pair, "=")
			if pair != "" && percentDecoded(key) == name {
				return text(percentDecoded(s))
			}
		}
		return missing
	}
}

// percentDecoded is s without percent encoding; what is none stays.
func percentDecoded(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if b, err := hex.DecodeString(s[i+1 : i+3]); err == nil {
				out = append(out, b[0])
				i += 2
				continue
			}
		}
		out = append(out, s[i])
	}
	return string(out)
}

func statusInput(d *Data) value {
	if d.ResponseHeaders == nil {
		return pending
	}
	return textOr(d.ResponseHeaders.Get(http.Status))
}

// statusClassInput is "4xx" for 404.
func statusClassInput(d *Data) value {
	if d.ResponseHeaders == nil {
		return pending
	}
	if s := d.ResponseHeaders.Get(http.Status); len(s) == 3 && '1' <= s[0] && s[0] <= '5' {
		return text("1xx2xx3xx4xx5xx"[3*(s[0]-'1'):][:3])
	}
	return missing
}

// localReplyInput is "true" for answers that the proxy made itself.
func localReplyInput(d *Data) value {
	if d.ResponseHeaders == nil {
		return pending
	}
	if d.Details == "via_upstream" {
		return text("false")
	}
	return text("true")
}

func destinationIP(d *Data) value   { return address(d.Local.Addr()) }
func sourceIP(d *Data) value        { return address(d.Remote.Addr()) }
func directSourceIP(d *Data) value  { return address(d.DirectRemote.Addr()) }
func destinationPort(d *Data) value { return port(d.Local) }
func sourcePort(d *Data) value      { return port(d.Remote) }

func port(a network.Address) value {
	if !a.IsValid() {
		return missing
	}
	return number(int(a.Port()))
}

// sourceType is "local" for clients on this machine.
func sourceType(d *Data) value {
	remote := d.Remote.Addr().Unmap()
	if d.Remote.IsPipe() || remote.IsLoopback() || remote.IsValid() && remote == d.Local.Addr().Unmap() {
		return text("local")
	}
	return missing
}

func serverName(d *Data) value        { return textOr(d.ServerName) }
func transportProtocol(d *Data) value { return textOr(d.TransportProtocol) }

// applicationProtocol is "'h2','http/1.1'".
func applicationProtocol(d *Data) value {
	if len(d.ALPN) == 0 {
		return missing
	}
	return text("'" + strings.Join(d.ALPN, "','") + "'")
}

func uriSAN(d *Data) value {
	if d.TLS == nil {
		return missing
	}
	return joined(d.TLS.URISANsPeer())
}

func dnsSAN(d *Data) value {
	if d.TLS == nil {
		return missing
	}
	return joined(d.TLS.DNSSANsPeer())
}

func subject(d *Data) value {
	if d.TLS == nil {
		return missing
	}
	return textOr(d.TLS.SubjectPeer())
}

func joined(names []string) value {
	switch len(names) {
	case 0:
		return missing
	case 1:
		return text(names[0])
	}
	return text(strings.Join(names, ","))
}

func filterStateInput(key, field string) input {
	return func(d *Data) value {
		object, found := d.FilterState[key]
		if !found {
			return missing
		}
		if field != "" {
			if o, ok := object.(streaminfo.FilterStateObject); ok {
				if s, ok := o.Field(field); ok {
					return text(s)
				}
			}
			return missing
		}
		switch o := object.(type) {
		case string:
			return text(o)
		case netip.Addr:
			return address(o)
		case fmt.Stringer:
			return text(o.String())
		}
		return missing
	}
}

func metadataInput(namespace string, path []string) input {
	return func(d *Data) value {
		v, found := matcher.LookupMetadata(d.Metadata, namespace, path)
		if !found {
			return missing
		}
		return value{state: present, kind: anyValue, any: v}
	}
}

// celInput stands for all attributes: CEL matchers look them up themselves.
func celInput(*Data) value { return value{state: present, kind: anyValue} }

// test is a condition on an input's value.
type test func(d *Data, v value) bool

func single(in input, holds test) predicate {
	return func(d *Data) Result {
		v := in(d)
		switch {
		case v.state == notYet:
			return NotYet
		case holds(d, v):
			return Matched
		}
		return NoMatch
	}
}
