package xds

import (
	"context"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/protobuf/proto"

	"github.com/weirproxy/weir/internal/field"
)

// Dialogue is a stream to a management server on which no resources travel:
// load reports (LRS), health discovery (HDS). It is opened again whenever it
// ends. The callbacks run on the main goroutine.
type Dialogue struct {
	Path   field.Path // of the ApiConfigSource
	Method string     // "/package.Service/Method"
	// NewMessage is an empty message of the type that the server sends.
	NewMessage func() proto.Message
	Opened     func(Sender)
	Received   func(proto.Message)
	// Lost is called when the stream has ended, and when it could not be opened.
	Lost func(error)
}

// Sender sends on a stream while it is open, and afterwards into the void.
type Sender interface {
	// Send queues a message. One that waits to be written is replaced.
	Send(proto.Message)
	// Idle tells that everything sent so far has been taken to be written.
	Idle() bool
}

// Converse opens a dialogue with the server of an ApiConfigSource. close ends
// it: no callback comes afterwards.
func (c *Client) Converse(api *corev3.ApiConfigSource, d Dialogue) (close func(), err error) {
	t, err := c.dialogueTarget(d.Path, api)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(c.ctx)
	x := &dialogue{Dialogue: d}
	c.running.Add(1)
	go (&stream{client: c, target: t, method: d.Method, proto: x}).run(ctx)
	return func() { x.closed = true; cancel() }, nil
}

// CheckDialogue tells whether Converse would take an ApiConfigSource.
func (c *Client) CheckDialogue(path field.Path, api *corev3.ApiConfigSource) error {
	_, err := c.dialogueTarget(path, api)
	return err
}

func (c *Client) dialogueTarget(path field.Path, api *corev3.ApiConfigSource) (*target, error) {
	t, err := c.apiTarget(path, api, false)
	if err == nil && (t.rest != nil || t.delta) {
		err = path.Dot("api_type").Errorf("want GRPC, found %s", api.ApiType)
	}
	return t, err
}

// dialogue is the protocol of a Dialogue.
type dialogue struct {
	Dialogue
	closed bool // main only
}

func (d *dialogue) newResponse() proto.Message { return d.NewMessage() }

func (d *dialogue) decode(_ *session, m proto.Message) (handle func()) {
	return func() {
		if !d.closed {
			d.Received(m)
		}
	}
}

func (d *dialogue) opened(s *session) {
	if !d.closed {
		d.Opened(sender{s})
	}
}

func (d *dialogue) lost(_ *session, err error) {
	if !d.closed {
		d.Lost(err)
	}
}

// sender implements Sender.
type sender struct{ s *session }

func (s sender) Send(m proto.Message) { s.s.push(outgoing{msg: m}) }

func (s sender) Idle() bool {
	s.s.mu.Lock()
	defer s.s.mu.Unlock()
	return len(s.s.queue) == 0
}
