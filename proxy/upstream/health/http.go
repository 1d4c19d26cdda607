package health

import (
	"slices"
	"strconv"

	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/matcher"
	"github.com/weirproxy/weir/proxy/upstream/cluster"
)

// HTTP is a compiled HttpHealthCheck.
type HTTP struct {
	Host, Path, Method string // Host: "" for the cluster's name
	Send               []byte
	Receive            [][]byte
	ResponseSize       int           // bytes of the response that are looked at
	Expected           []StatusRange // 200 when empty
	Retriable          []StatusRange
	HTTP2              bool
	Service            *matcher.String // of x-envoy-upstream-healthchecked-cluster
	Headers            []Header
	Remove             []string // lower case
}

// StatusRange is [From, To).
type StatusRange struct{ From, To int }

// Header is one of request_headers_to_add.
type Header struct {
	Name, Value string
	Overwrite   bool // else add
	IfAbsent    bool
}

func in(rs []StatusRange, code int) bool {
	return slices.ContainsFunc(rs, func(r StatusRange) bool { return r.From <= code && code < r.To })
}

func (c *HTTP) send(s *session, h *http.HeaderMap) []byte {
	h.Add(http.Method, c.Method)
	h.Add(http.Path, c.Path)
	h.Add(http.Scheme, scheme(s))
	h.Add(http.Authority, authority(s, c.Host))
	h.AddName("user-agent", "Envoy/HC")
	if len(c.Send) > 0 {
		h.AddName("content-length", strconv.Itoa(len(c.Send)))
	}
	addHeaders(h, c.Headers)
	for _, n := range c.Remove {
		h.RemoveName(n)
	}
	return c.Send
}

func addHeaders(h *http.HeaderMap, hs []Header) {
	for _, a := range hs {
		switch _, has := h.GetName(a.Name); {
		case a.Overwrite:
			h.SetName(a.Name, a.Value)
		case !has || !a.IfAbsent:
			h.AddName(a.Name, a.Value)
		}
	}
}

func scheme(s *session) string {
	if s.c.o.Info.Transport != nil {
		return "https"
	}
	return "http"
}

// authority is the host that checks name.
func authority(s *session, configured string) string {
	switch {
	case s.host.HealthCheckHostname != "":
		return s.host.HealthCheckHostname
	case configured != "":
		return configured
	}
	return s.c.o.Info.Name
}

func (c *HTTP) judge(e *exchange) {
	s, h := e.s, &e.response
	code, _ := strconv.Atoi(h.Get(http.Status))
	if !in(c.Expected, code) {
		if h.Has(http.XEnvoyImmediateHealthCheckFail) {
			s.host.SetHealth(cluster.ExcludedViaImmediateHCFail, true)
		}
		s.failure(active, in(c.Retriable, code), code)
		return
	}
	if len(c.Receive) > 0 && !inOrder(c.Receive, e.body[:min(len(e.body), c.ResponseSize)]) {
		s.failure(active, false, code)
		return
	}
	if c.Service != nil {
		s.c.stats.VerifyCluster.Inc()
		name, _ := h.GetName("x-envoy-upstream-healthchecked-cluster")
		if !c.Service.Match(name) {
			s.failure(active, false, code)
			return
		}
	}
	s.success(h.Has(http.XEnvoyDegraded), code)
}
