package xds

import (
	"strings"

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
type sotw struct{ multiplex[*sotwType] }

// sotwType is a type on the stream.
type sotwType struct {
	typeState
	version string // accepted; survives the session
	covers  int    // revision of the names that version was for
	nonce   string // of the last response in this session
	sent    int    // revision of the names that the server was told
	nack    *statuspb.Status
}

func (c *Client) newSotw(key, method string, t *target, stats Stats) wire {
	s := &sotw{}
	s.run(c, key, method, t, stats, s, s.sendType)
	return s
}

func (s *sotw) addType(col *collection) {
	s.types = append(s.types, &sotwType{typeState: typeState{col: col, refused: nackBackoff()}})
}

func (s *sotw) wantsChanged(col *collection) {
	t := s.find(col.typeURL)
	if t == nil || t.asked && t.sent == col.revision {
		return
	}
	s.request(t)
}

// sendType names what is wanted of the type. While there is no session nothing
// is sent: opened will ask for everything.
func (s *sotw) sendType(t *sotwType) {
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
	req.Node = s.node()
	s.session.push(outgoing{req.TypeUrl, req, t.nack != nil || req.Node != nil && s.target.nodeFirstOnly})
	t.asked, t.sent, t.nack = true, t.col.revision, nil
}

func (s *sotw) opened(sess *session) {
	if !s.begin(sess) {
		return
	}
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
	s.identify(resp.GetControlPlane())
	t := s.find(resp.TypeUrl)
	if t == nil {
		s.unknown(resp.TypeUrl)
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
		// A NACK that is held back yet is out of date.
		t.version, t.covers, t.nack = resp.VersionInfo, t.sent, nil
		t.accept()
	}
	s.answered(t)
}

// maxDetail bounds a NACK's message, as Envoy does.
const maxDetail = 4096

// shorten also leaves out what is not UTF-8, the half of a character above
// all: such a message could not be sent.
func shorten(s string) string {
	if len(s) <= maxDetail {
		return strings.ToValidUTF8(s, "")
	}
	return strings.ToValidUTF8(s[:maxDetail], "") + "...(truncated)"
}
