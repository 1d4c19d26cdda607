package xds

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/weirproxy/weir/xds/decode"
)

// restTarget is what a REST source has beyond its server.
type restTarget struct {
	every   time.Duration // refresh_delay, to which up to a half is added
	timeout time.Duration
}

// restSource asks a management server again and again, with the state of the
// world protocol's messages as JSON.
type restSource struct {
	client  *Client
	target  *target
	path    string
	col     *collection
	http    *http.Client
	version string // accepted
	covers  int    // revision of the names that version was for
	timer   *time.Timer
	asking  int // the request under way; an older one's answer is dropped
	stop    context.CancelFunc
	ctx     context.Context
}

func (c *Client) restCollection(key, typeURL, path string, t *target) *collection {
	id := key + " " + typeURL
	if col := c.collections[id]; col != nil {
		return col
	}
	s := &restSource{client: c, target: t, path: path, http: &http.Client{Transport: &http.Transport{DialContext: t.dialAny, Protocols: t.protocols()}, Timeout: t.rest.timeout}}
	s.ctx, s.stop = context.WithCancel(c.ctx)
	s.col = c.newCollection(id, typeURL, s)
	return s.col
}

func (s *restSource) wantsChanged(*collection) { s.ask() }

func (s *restSource) unused(col *collection) {
	s.asking++
	s.stop()
	s.http.CloseIdleConnections()
	if s.timer != nil {
		s.timer.Stop()
	}
	delete(s.client.collections, col.id)
}

// ask sends a request, off the main goroutine.
func (s *restSource) ask() {
	s.asking++
	this := s.asking
	if s.timer != nil {
		s.timer.Stop()
	}
	revision := s.col.revision
	if s.covers != revision {
		// With the version the server would think that we have what we now
		// ask for the first time.
		s.version = ""
	}
	request := &discoveryv3.DiscoveryRequest{Node: s.client.node, TypeUrl: s.col.typeURL, VersionInfo: s.version, ResourceNames: s.col.names()}
	s.client.running.Add(1)
	go func() {
		defer s.client.running.Done()
		response, err := s.fetch(request)
		var u update
		if err == nil && response != nil {
			u = decodeAll(s.col.typeURL, response.VersionInfo, response.Resources)
		}
		s.client.post(func() {
			if this != s.asking || s.client.closed {
				return
			}
			s.answered(response, revision, u, err)
		})
	}()
}

func (s *restSource) answered(response *discoveryv3.DiscoveryResponse, revision int, u update, err error) {
	switch {
	case err != nil:
		s.client.log.Warn("xDS: no answer", "server", s.target.name, "path", s.path, "error", err)
		s.col.failed()
	case response != nil:
		// There is no NACK; update has logged why.
		if s.col.update(u) == nil {
			s.version, s.covers = response.VersionInfo, revision
		}
	}
	every := s.target.rest.every
	s.timer = time.AfterFunc(every+time.Duration(rand.Int64N(int64(every)/2+1)), func() {
		s.client.post(func() {
			if s.ctx.Err() == nil {
				s.ask()
			}
		})
	})
}

// maxAnswer bounds a response.
const maxAnswer = defaultMaxMessage

// fetch is one request; a nil response is that nothing has changed.
func (s *restSource) fetch(request *discoveryv3.DiscoveryRequest) (*discoveryv3.DiscoveryResponse, error) {
	body, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(request)
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(s.ctx, http.MethodPost, "http://"+s.target.authority+s.path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	answer, err := s.http.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	switch answer.StatusCode {
	case http.StatusNotModified:
		return nil, nil
	case http.StatusOK:
	default:
		return nil, fmt.Errorf("the server answers %s", answer.Status)
	}
	data, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err != nil {
		return nil, err
	}
	response := &discoveryv3.DiscoveryResponse{}
	return response, decode.Unmarshal(data, decode.JSON, response)
}
