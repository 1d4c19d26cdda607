package xds

import (
	"context"
	"slices"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
)

// sotw is the state-of-the-world protocol on one stream: with all types on the
// ADS stream, with one on a stream of its own. Every request names all
// resources of its type that are wanted; every response is answered by a
// request with its nonce, which is an ACK with the response's version or a
// NACK with the version before and the error
// (https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol).
//
// What is on the main goroutine: everything but decode.
type sotw struct {
	client  *Client
	key     string // in client.streams
	target  *target
	stats   Stats
	types   []*sotwType  // in the order of subscription
	session *session     // nil: not connected
	node    *corev3.Node // that this session was told
	stop    context.CancelFunc
}

// sotwType is a type on the stream.
type sotwType struct {
	col     *collection
	version string // accepted; survives the session
	covers  int    // revision of the names that version was for
	nonce   string // of the last response in this session
	asked   bool   // in this session
	sent    int    // revision of the names that the server was told
	late    bool   // a request waits for the type's pause, or its NACK's delay, to end
	busy    bool   // a response is being applied; a request follows
	nack    *statuspb.Status

	refused backoff     // of updates in a row
	delayed *time.Timer // until the NACK is sent
}

func (c *Client) newSotw(key, method string, t *target, stats Stats) wire {
	s := &sotw{client: c, key: key, target: t, stats: stats}
	ctx, cancel := context.WithCancel(c.ctx)
	s.stop = cancel
	stats.Set(statConnected, 0)
	c.running.Add(1)
	go (&stream{client: c, target: t, method: method, proto: s}).run(ctx)
	return s
}

func (s *sotw) addType(col *collection) {
	s.types = append(s.types, &sotwType{col: col, refused: nackBackoff()})
}

func (s *sotw) find(typeURL string) *sotwType {
	for _, t := range s.types {
		if t.col.typeURL == typeURL {
			return t
		}
	}
	return nil
}

func (s *sotw) wantsChanged(col *collection) {
	t := s.find(col.typeURL)
	if t == nil || t.asked && t.sent == col.revision {
		return
	}
	s.request(t)
}

// unused unsubscribes: a request without names, after one with names, asks for
// nothing. What yet comes for the type is ignored.
func (s *sotw) unused(col *collection) {
	delete(s.client.collections, col.id)
	t := s.find(col.typeURL)
	s.types = slices.DeleteFunc(s.types, func(o *sotwType) bool { return o == t })
	if len(s.types) == 0 {
		s.stop()
		s.session = nil
		s.stats.Set(statConnected, 0)
		delete(s.client.streams, s.key)
		return
	}
	if t.asked && !t.busy {
		s.send(t)
	}
}

func (s *sotw) resume(typeURL string) {
	if t := s.find(typeURL); t != nil && t.late && !t.busy {
		s.request(t)
	}
}

// request sends what is wanted of the type, when nothing holds it back. While
// there is no session nothing is sent: opened will ask for everything.
func (s *sotw) request(t *sotwType) {
	t.late = s.client.paused[t.col.typeURL] > 0 || t.delayed != nil
	if !t.late {
		s.send(t)
	}
}

func (s *sotw) send(t *sotwType) {
	// Empty names mean all, but after names they mean none.
	nothing := t.col.all == 0 && len(t.col.watched) == 0
	if s.session == nil || nothing && !t.asked {
		return
	}
	req := &discoveryv3.DiscoveryRequest{
		TypeUrl:       t.col.typeURL,
		VersionInfo:   t.version,
		ResourceNames: t.col.names(),
		ResponseNonce: t.nonce,
		ErrorDetail:   t.nack,
	}
	if s.node != s.client.node || !s.target.nodeFirstOnly {
		req.Node = s.client.node
		s.node = req.Node
	}
	s.session.push(outgoing{req.TypeUrl, req, t.nack != nil || req.Node != nil && s.target.nodeFirstOnly})
	t.asked, t.sent, t.nack = true, t.col.revision, nil
}

func (s *sotw) opened(sess *session) {
	if s.client.closed {
		return
	}
	if len(s.types) == 0 { // stopped meanwhile
		return
	}
	s.session, s.node = sess, nil
	s.stats.Set(statConnected, 1)
	for _, t := range s.types {
		t.nonce, t.asked, t.nack = "", false, nil
		if t.covers != t.col.revision {
			// With the version the server would think that we have what we
			// now ask for the first time.
			t.version = ""
		}
		s.request(t)
	}
}

func (s *sotw) lost(sess *session, _ error) {
	if s.client.closed || sess != s.session {
		return
	}
	s.session = nil
	s.stats.Set(statConnected, 0)
	for _, t := range s.types {
		t.col.failed()
	}
}

func (s *sotw) newResponse() proto.Message { return &discoveryv3.DiscoveryResponse{} }

func (s *sotw) decode(sess *session, m proto.Message) (handle func()) {
	resp := m.(*discoveryv3.DiscoveryResponse)
	u := decodeAll(resp.TypeUrl, resp.VersionInfo, resp.Resources)
	return func() {
		if s.session == sess {
			s.apply(resp, u)
		}
	}
}

func (s *sotw) apply(resp *discoveryv3.DiscoveryResponse, u update) {
	if id := resp.GetControlPlane().GetIdentifier(); id != "" {
		s.stats.SetText(statIdentifier, id)
	}
	t := s.find(resp.TypeUrl)
	if t == nil {
		s.client.log.Debug("xDS: response for a type that is not subscribed to", "type", resp.TypeUrl, "server", s.target.name)
		return
	}
	t.nonce = resp.Nonce
	t.busy = true
	err := t.col.update(u)
	t.busy = false
	if err != nil {
		t.nack = &statuspb.Status{Code: int32(codes.Internal), Message: shorten(err.Error())}
		s.slowDown(t)
	} else {
		t.version, t.covers = resp.VersionInfo, t.sent
		t.refused.reset()
	}
	if s.find(resp.TypeUrl) != t { // a callback closed the last subscription
		s.send(t)
		return
	}
	s.request(t)
}

// slowDown holds the requests for the type back for a while if this NACK is not
// the first in a row.
func (s *sotw) slowDown(t *sotwType) {
	first := t.refused.attempt == 0
	delay := t.refused.next()
	if first || t.delayed != nil {
		return
	}
	t.delayed = time.AfterFunc(delay, func() {
		s.client.post(func() {
			t.delayed = nil
			if !s.client.closed && s.find(t.col.typeURL) == t {
				s.resume(t.col.typeURL)
			}
		})
	})
}

// maxDetail bounds a NACK's message, as Envoy does.
const maxDetail = 4096

func shorten(s string) string {
	if len(s) <= maxDetail {
		return s
	}
	return s[:maxDetail] + "...(truncated)"
}
