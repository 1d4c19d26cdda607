package xds

import (
	"fmt"
	"maps"
	"slices"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
)

// delta is the incremental protocol on one stream: with all types on the ADS
// stream, with one on a stream of its own. A request subscribes to names and
// unsubscribes from others; a response brings what has changed and says what is
// gone, and is answered by a request with its nonce. After a reconnect the
// server is told which versions are here, so it sends only what differs.
//
// What is on the main goroutine: everything but decode.
type delta struct{ multiplex[*deltaType] }

// deltaType is a type on the stream.
type deltaType struct {
	typeState
	told   map[string]bool     // names that the server was told in this session
	have   map[string]Resource // accepted; survives the session
	answer *answer             // to the last response, not sent yet
}

// answer is an ACK, or a NACK with an error.
type answer struct {
	nonce string
	err   *statuspb.Status
}

func (c *Client) newDelta(key, method string, t *target, stats Stats) wire {
	s := &delta{}
	s.run(c, key, method, t, stats, s, s.sendType)
	return s
}

func (s *delta) addType(col *collection) {
	s.types = append(s.types, &deltaType{typeState: typeState{col: col, refused: nackBackoff()}, told: map[string]bool{}, have: map[string]Resource{}})
}

func (s *delta) wantsChanged(col *collection) {
	if t := s.find(col.typeURL); t != nil && !t.busy {
		s.request(t)
	}
}

// wildcard is the name of all resources that a server has for this node.
const wildcard = "*"

func (s *delta) sendType(t *deltaType) {
	if s.session == nil {
		return
	}
	req := &discoveryv3.DeltaDiscoveryRequest{TypeUrl: t.col.typeURL}
	want := map[string]bool{}
	for n := range t.col.watched {
		want[n] = true
	}
	if t.col.all > 0 {
		want[wildcard] = true
	}
	if !t.asked {
		if len(want) == 0 {
			return
		}
		req.InitialResourceVersions = make(map[string]string, len(t.have))
		for name, r := range t.have {
			req.InitialResourceVersions[name] = r.Version
		}
	}
	for n := range want {
		if !t.told[n] {
			req.ResourceNamesSubscribe = append(req.ResourceNamesSubscribe, n)
		}
	}
	for n := range t.told {
		if !want[n] {
			req.ResourceNamesUnsubscribe = append(req.ResourceNamesUnsubscribe, n)
			if t.col.all == 0 {
				delete(t.have, n)
			}
		}
	}
	if len(want) == 0 && !s.has(t) && t.told[wildcard] {
		return // what comes yet is ignored, as by Envoy
	}
	slices.Sort(req.ResourceNamesSubscribe)
	slices.Sort(req.ResourceNamesUnsubscribe)
	if t.answer != nil {
		req.ResponseNonce, req.ErrorDetail = t.answer.nonce, t.answer.err
	} else if t.asked && len(req.ResourceNamesSubscribe)+len(req.ResourceNamesUnsubscribe) == 0 {
		return
	}
	if len(want) == 1 && want[wildcard] && !t.asked {
		// The first request without names asks for all: older servers know
		// no other way.
		req.ResourceNamesSubscribe = nil
	}
	req.Node = s.node()
	// Requests build on each other: none replaces one that waits.
	s.session.push(outgoing{req.TypeUrl, req, true})
	t.asked, t.told, t.answer = true, want, nil
}

func (s *delta) opened(sess *session) {
	if !s.begin(sess) {
		return
	}
	for _, t := range s.types {
		t.asked, t.answer, t.told = false, nil, map[string]bool{}
		s.request(t)
	}
}

func (s *delta) newResponse() proto.Message { return &discoveryv3.DeltaDiscoveryResponse{} }

func (s *delta) decode(sess *session, m proto.Message) (handle func()) {
	resp := m.(*discoveryv3.DeltaDiscoveryResponse)
	u := decodeDelta(resp)
	return func() {
		if s.session == sess {
			s.apply(resp, u)
		}
	}
}

func (s *delta) apply(resp *discoveryv3.DeltaDiscoveryResponse, u update) {
	s.identify(resp.GetControlPlane())
	t := s.find(resp.TypeUrl)
	if t == nil {
		s.unknown(resp.TypeUrl)
		return
	}
	t.busy = true
	err := t.take(u, resp.RemovedResources)
	t.busy = false
	t.answer = &answer{nonce: resp.Nonce}
	if err != nil {
		t.answer.err = &statuspb.Status{Code: int32(codes.Internal), Message: shorten(err.Error())}
		s.slowDown(t)
	} else {
		t.accept()
	}
	s.answered(t)
}

// take applies a response: to subscriptions to all as the whole set that it
// makes, to those to names as it is.
func (t *deltaType) take(u update, removed []string) error {
	if u.err != nil {
		return t.col.update(u)
	}
	next := maps.Clone(t.have)
	for _, r := range u.resources {
		if t.col.all > 0 || t.col.watched[r.Name] > 0 { // a server may send what nobody asked for
			next[r.Name] = r
		}
	}
	for _, name := range removed {
		delete(next, name)
	}
	if t.col.all > 0 {
		whole := update{version: u.version, byName: make(map[string]int, len(next)), resources: make([]Resource, 0, len(next))}
		for _, name := range slices.Sorted(maps.Keys(next)) {
			whole.byName[name] = len(whole.resources)
			whole.resources = append(whole.resources, next[name])
		}
		u = whole
	}
	if err := t.col.update(u); err != nil {
		return err
	}
	t.have = next
	t.col.removed(removed, u.version)
	return nil
}

// decodeDelta decodes the resources of a response.
func decodeDelta(resp *discoveryv3.DeltaDiscoveryResponse) update {
	u := update{version: resp.SystemVersionInfo, byName: map[string]int{}}
	var errs []error
	for i, w := range resp.Resources {
		if w.Resource == nil {
			continue // says only that it is still there
		}
		if w.Ttl != nil {
			errs = append(errs, fmt.Errorf("%s: weir does not support ttl of envoy.service.discovery.v3.Resource", w.Name))
			continue
		}
		r, err := decodeOne(resp.TypeUrl, w.Version, w.Resource)
		if w.Name != "" {
			r.Name = w.Name
		}
		if _, twice := u.byName[r.Name]; err == nil && twice {
			err = fmt.Errorf("duplicate %s in the response", shortType(resp.TypeUrl))
		}
		if err != nil {
			name := r.Name
			if name == "" {
				name = fmt.Sprintf("resources[%d]", i)
			}
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
			continue
		}
		u.byName[r.Name] = len(u.resources)
		u.resources = append(u.resources, r)
	}
	return u.withErrors(errs)
}
