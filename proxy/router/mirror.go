package router

import (
	"strconv"
	"strings"

	"github.com/weirproxy/weir/proxy/formatter"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/route"
	"github.com/weirproxy/weir/proxy/streaminfo"
	"github.com/weirproxy/weir/proxy/tracing"
	"github.com/weirproxy/weir/proxy/upstream/async"
)

// mirror is a copy of the request, sent to a cluster of its own; nobody waits
// for its response.
type mirror struct {
	s       *async.Stream
	span    *tracing.Span
	tracing *tracing.Config // that the span is of
	code    int             // of the response
	f       *filter         // nil once the request is over
	loop    *network.Loop
	sent    bool // whole
	dead    bool // the response has come, or none will
	full    bool // its upstream takes no more for now
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
		m := &mirror{f: f, sent: end, loop: f.cb.Loop()}
		m.s = client.NewStream(name, async.Options{Timeout: f.timeouts.global, Downstream: f.cb.Connection(), Priority: f.priority(),
			Subset: f.MetadataMatch(), Uncounted: f.cfg.noDynamicStats}, m)
		if m.s == nil {
			continue // no such cluster
		}
		m.s.OnWritable = m.onWritable
		mh := m.s.Headers()
		mh.CopyFrom(h)
		if f.cfg.localAddress != "" {
			mh.Append(http.XForwardedFor, ",", f.cfg.localAddress)
		}
		shadowHost(mh, p)
		if p.Mutations != nil {
			p.Mutations.Apply(mh, f.formatContext(nil))
		}
		m.startSpan(f, p, mh)
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
	if limit := m.f.cb.BufferLimit(); limit > 0 && m.s.Waiting()+b.Len() > int(limit) {
		// Nobody waits for a copy that can't be sent.
		m.f.cluster.Stats().RetryOrShadowAbandoned.Inc()
		m.abandon()
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

// startSpan begins the copy's span, when the request has one.
func (m *mirror) startSpan(f *filter, p *route.Mirror, h *http.HeaderMap) {
	t, ok := f.cb.(traced)
	if !ok {
		return
	}
	c, parent := t.Trace()
	if parent == nil {
		return
	}
	m.tracing, m.span, m.code = c, parent.Spawn("mirror", m.loop.Time()), 503
	if p.TraceSampled != nil {
		m.span.Sampled = *p.TraceSampled
	}
	c.Inject(m.span, h)
}

// onWritable has the client wait for a mirror's upstream that is slow, so that
// the copy takes no more memory than the request itself.
func (m *mirror) onWritable(yes bool) {
	if m.f == nil || m.full == !yes {
		return
	}
	if m.full = !yes; m.full {
		m.f.cb.OnDecoderAboveHighWatermark()
	} else {
		m.f.cb.OnDecoderBelowLowWatermark()
	}
}

// abandon gives up a copy that has not been sent whole.
func (m *mirror) abandon() {
	if !m.sent && !m.dead {
		m.end()
		m.s.Reset()
	}
}

// detach leaves the copy to itself: the request is over.
func (m *mirror) detach() {
	m.abandon()
	m.f = nil
}

// end is called when nothing more is to come.
func (m *mirror) end() {
	m.dead = true
	m.onWritable(true)
	m.endSpan()
}

// endSpan ends the copy's span. The request that it is a copy of may be gone.
func (m *mirror) endSpan() {
	if m.span == nil {
		return
	}
	var addr network.Address
	protocol := ""
	if h, p := m.s.Upstream(); h != nil {
		addr, protocol = h.Current(), p.String()
	}
	c := m.s.Cluster()
	m.tracing.FinishUpstream(m.span, &formatter.Context{Info: &streaminfo.Info{}}, addr, protocol,
		tracing.Result{Cluster: c.Name, ClusterStatName: c.StatName, Code: m.code, Flags: "-"}, nil, nil, m.loop.Time())
	m.span = nil
}

// OnHeaders implements async.StreamCallbacks.
func (m *mirror) OnHeaders(h *http.HeaderMap, end bool) {
	m.code, _ = strconv.Atoi(h.Get(http.Status))
	if end {
		m.end()
	}
}

// OnData implements async.StreamCallbacks.
func (m *mirror) OnData(b *network.Buffer, end bool) {
	b.Reset()
	if end {
		m.end()
	}
}

// OnTrailers implements async.StreamCallbacks.
func (m *mirror) OnTrailers(*http.HeaderMap) { m.end() }

// OnFailure implements async.StreamCallbacks.
func (m *mirror) OnFailure(async.Failure) { m.end() }
