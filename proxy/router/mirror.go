package router

import (
	"strings"

	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/route"
	"github.com/weirproxy/weir/proxy/upstream/async"
)

// mirror is a copy of the request, sent to a cluster of its own; nobody waits
// for its response.
type mirror struct {
	s    *async.Stream
	sent bool // whole
	dead bool // the response has come, or none will
}

// startMirrors sends the copies that the route's policies ask for.
func (f *filter) startMirrors(h *http.HeaderMap, end bool) {
	if len(f.action.Mirrors) == 0 || h.Get(http.Method) == "CONNECT" {
		return
	}
	client := async.NewClient(f.table)
	for i := range f.action.Mirrors {
		p := &f.action.Mirrors[i]
		if p.Fraction != nil && !p.Fraction.Picks(f.cfg.rand(f.cb.Worker()).Uint64()) {
			continue
		}
		name := p.Cluster
		if p.ClusterHeader != "" {
			name, _ = h.GetName(p.ClusterHeader)
		}
		m := &mirror{sent: end}
		m.s = client.NewStream(name, async.Options{Timeout: f.timeouts.global, Downstream: f.cb.Connection(), Priority: f.priority()}, m)
		if m.s == nil {
			continue // no such cluster
		}
		mh := m.s.Headers()
		mh.CopyFrom(h)
		shadowHost(mh, p)
		m.s.SendHeaders(end)
		f.mirrors = append(f.mirrors, m)
	}
}

// shadowHost marks the copy's host, "h-shadow:80" for "h:80", so that its
// receiver can tell.
func shadowHost(h *http.HeaderMap, p *route.Mirror) {
	if p.HostRewrite != "" {
		h.Set(http.Authority, p.HostRewrite)
		return
	}
	if p.DisableHostSuffix {
		return
	}
	host, port := h.Get(http.Authority), ""
	if i := strings.LastIndexByte(host, ':'); i >= 0 && strings.IndexByte(host[i:], ']') < 0 {
		host, port = host[:i], host[i:]
	}
	h.Set(http.Authority, h.Concat(host, "-shadow", port))
}

func (m *mirror) sendData(b *network.Buffer, end bool) {
	if m.dead {
		return
	}
	m.sent = m.sent || end
	piece := m.s.NewBuffer()
	for p := range b.Pieces {
		piece.Append(p)
	}
	m.s.SendData(piece, end)
}

func (m *mirror) sendTrailers(t *http.HeaderMap) {
	if m.dead {
		return
	}
	m.sent = true
	// The stream may outlive the request that the map belongs to.
	c := &http.HeaderMap{}
	c.CopyFrom(t)
	m.s.SendTrailers(c)
}

// abandon gives up a copy that has not been sent whole.
func (m *mirror) abandon() {
	if !m.sent && !m.dead {
		m.dead = true
		m.s.Reset()
	}
}

// OnHeaders implements async.StreamCallbacks.
func (m *mirror) OnHeaders(_ *http.HeaderMap, end bool) { m.dead = m.dead || end }

// OnData implements async.StreamCallbacks.
func (m *mirror) OnData(b *network.Buffer, end bool) {
	b.Reset()
	m.dead = m.dead || end
}

// OnTrailers implements async.StreamCallbacks.
func (m *mirror) OnTrailers(*http.HeaderMap) { m.dead = true }

// OnFailure implements async.StreamCallbacks.
func (m *mirror) OnFailure(async.Failure) { m.dead = true }
