package xds

import (
	"context"
	"slices"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
)

// multiplex is what both protocols keep of their stream, all types of which
// share it, T for each: which there are, and when the server may be asked for
// them. What is on the main goroutine: everything.
type multiplex[T multiplexed] struct {
	client  *Client
	key     string // in client.streams
	target  *target
	stats   Stats
	types   []T          // in the order of subscription
	session *session     // nil: not connected
	told    *corev3.Node // in this session
	stop    context.CancelFunc
	send    func(T) // the protocol's request for a type
}

// multiplexed is a type on a stream.
type multiplexed interface {
	comparable
	common() *typeState
}

// typeState is what both protocols keep of a type.
type typeState struct {
	col   *collection
	asked bool // in this session
	late  bool // a request waits for the type's pause, or its NACK's delay, to end
	busy  bool // a response is being applied; a request follows

	prompt  int         // NACKs in a row
	refused backoff     // of updates in a row
	delayed *time.Timer // until the next NACK may be sent
}

func (t *typeState) common() *typeState { return t }

// run opens the stream, on which p is spoken.
func (m *multiplex[T]) run(c *Client, key, method string, t *target, stats Stats, p protocol, send func(T)) {
	m.client, m.key, m.target, m.stats, m.send = c, key, t, stats, send
	ctx, cancel := context.WithCancel(c.ctx)
	m.stop = cancel
	stats.Declare(statLimited)
	stats.SetText(statIdentifier, "")
	stats.Set(statConnected, 0)
	stats.Set(statPending, 0)
	c.running.Add(1)
	go (&stream{client: c, target: t, method: method, proto: p}).run(ctx)
}

// find is the type on the stream, the zero T when it is not there.
func (m *multiplex[T]) find(typeURL string) (none T) {
	for _, t := range m.types {
		if t.common().col.typeURL == typeURL {
			return t
		}
	}
	return none
}

// accept ends a row of NACKs.
func (t *typeState) accept() {
	t.prompt = 0
	t.refused.reset()
}

// has tells whether t is still on the stream.
func (m *multiplex[T]) has(t T) bool { return slices.Contains(m.types, t) }

// unused unsubscribes from everything of a type. What yet comes for it is
// ignored.
func (m *multiplex[T]) unused(col *collection) {
	delete(m.client.collections, col.id)
	t := m.find(col.typeURL)
	m.types = slices.DeleteFunc(m.types, func(o T) bool { return o == t })
	if len(m.types) == 0 {
		m.stop()
		m.session = nil
		m.stats.Set(statConnected, 0)
		delete(m.client.streams, m.key)
		return
	}
	if s := t.common(); s.asked && !s.busy {
		m.send(t)
	}
}

func (m *multiplex[T]) resume(typeURL string) {
	var none T
	if t := m.find(typeURL); t != none && t.common().late && !t.common().busy {
		m.request(t)
	}
}

// request sends what is wanted of the type, when nothing holds it back.
func (m *multiplex[T]) request(t T) {
	s := t.common()
	s.late = m.client.paused[s.col.typeURL] > 0 || s.delayed != nil
	if !s.late {
		m.send(t)
	}
}

// node is what the next request says of the proxy; nil when the server knows.
func (m *multiplex[T]) node() *corev3.Node {
	if m.told == m.client.node && m.target.nodeFirstOnly {
		return nil
	}
	m.told = m.client.node
	return m.told
}

// begin takes a new session, unless the stream has been stopped meanwhile.
func (m *multiplex[T]) begin(s *session) bool {
	if m.client.closed || len(m.types) == 0 {
		return false
	}
	m.session, m.told = s, nil
	m.stats.Set(statConnected, 1)
	return true
}

func (m *multiplex[T]) lost(s *session, _ error) {
	if m.client.closed || len(m.types) == 0 || s != m.session {
		return // another stream may have the statistics by now
	}
	m.session = nil
	m.stats.Set(statConnected, 0)
	for _, t := range m.types {
		t.common().col.failed()
	}
}

// answered asks on after a response was applied.
func (m *multiplex[T]) answered(t T) {
	if m.has(t) {
		m.request(t)
		return
	}
	m.send(t) // a callback closed the last subscription
}

// unknown notes a response for a type that is not on the stream.
func (m *multiplex[T]) unknown(typeURL string) {
	m.client.log.Debug("xDS: response for a type that is not subscribed to", "type", typeURL, "server", m.target.name)
}

// identify notes who the server says that it is.
func (m *multiplex[T]) identify(by *corev3.ControlPlane) {
	if id := by.GetIdentifier(); id != "" {
		m.stats.SetText(statIdentifier, id)
	}
}

// promptNACKs is how many in a row are sent at once.
const promptNACKs = 3

// slowDown holds the requests for the type back for a while if this NACK is not
// one of the first in a row.
func (m *multiplex[T]) slowDown(t T) {
	s := t.common()
	if s.prompt++; s.prompt <= promptNACKs || s.delayed != nil {
		return
	}
	delay := s.refused.next()
	s.delayed = time.AfterFunc(delay, func() {
		m.client.post(func() {
			s.delayed = nil
			if !m.client.closed && m.has(t) {
				m.resume(s.col.typeURL)
			}
		})
	})
}
