package xds

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
)

// protocol is what is spoken on a stream: the state of the world, or delta.
type protocol interface {
	// newResponse is an empty message to receive into.
	newResponse() proto.Message
	// decode looks at a response off the main goroutine and gives what is to
	// be done about it there.
	decode(*session, proto.Message) (handle func())
	// opened and lost are called on the main goroutine. Between them requests
	// may be sent. A stream that could not be opened is lost with a nil session.
	opened(*session)
	lost(*session, error)
}

// wire is a protocol on a stream, as the source of collections.
type wire interface {
	protocol
	source
	// addType adds a collection to the stream.
	addType(*collection)
	// resume sends what a pause of the type has held back.
	resume(typeURL string)
}

// stream keeps a gRPC stream open: it connects, reads, and when the stream
// ends connects again after a back-off. It is one goroutine, with a second one
// that writes while the stream is open.
type stream struct {
	client *Client
	target *target
	method string
	proto  protocol
}

func (s *stream) run(ctx context.Context) {
	defer s.client.running.Done()
	wait := streamBackoff()
	for ctx.Err() == nil {
		began := time.Now()
		err := s.once(ctx)
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) > goodStream {
			wait.reset()
		}
		delay := wait.next()
		s.client.log.Warn("xDS: stream lost", "server", s.target.name, "method", s.method, "retry", delay.Round(time.Millisecond), "error", err)
		select {
		case <-ctx.Done():
		case <-time.After(delay):
		}
	}
}

// once opens the stream and serves it to its end.
func (s *stream) once(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	conn, grpcStream, err := s.open(ctx)
	if err != nil {
		s.client.post(func() { s.proto.lost(nil, err) })
		return err
	}
	defer conn.Close()
	sess := &session{wake: make(chan struct{}, 1), drained: make(chan struct{}, 1)}
	s.client.post(func() { s.proto.opened(sess) })
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		sess.send(ctx, grpcStream)
	}()
	err = s.receive(ctx, sess, grpcStream)
	cancel()
	<-sent
	s.client.post(func() { s.proto.lost(sess, err) })
	return err
}

// open connects afresh: a used connection would add gRPC's own back-off to
// ours.
func (s *stream) open(ctx context.Context) (*grpc.ClientConn, grpc.ClientStream, error) {
	conn, err := s.target.connect()
	if err != nil {
		return nil, nil, err
	}
	ctx = metadata.NewOutgoingContext(ctx, s.target.metadata)
	desc := &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}
	gs, err := conn.NewStream(ctx, desc, s.method)
	if err != nil {
		conn.Close()
		return nil, nil, err
	}
	return conn, gs, nil
}

// receive hands over one response at a time: the next is read when the main
// goroutine has dealt with this one and the requests it made are on their way,
// so a fast server cannot fill the memory.
func (s *stream) receive(ctx context.Context, sess *session, gs grpc.ClientStream) error {
	for {
		resp := s.proto.newResponse()
		if err := gs.RecvMsg(resp); err != nil {
			if errors.Is(err, io.EOF) {
				return errors.New("the server ended the stream")
			}
			return err
		}
		handle := s.proto.decode(sess, resp)
		done := make(chan struct{})
		s.client.post(func() {
			defer close(done)
			handle()
		})
		select {
		case <-done:
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := sess.waitRoom(ctx); err != nil {
			return err
		}
	}
}

// session is a stream while it is open: the queue of requests between the main
// goroutine and the one that writes.
type session struct {
	mu      sync.Mutex
	queue   []outgoing
	wake    chan struct{} // the queue is not empty
	drained chan struct{} // the queue was emptied
}

type outgoing struct {
	typeURL string
	msg     proto.Message
	keep    bool // must be sent though a newer one follows (it is a NACK)
}

// maxQueue bounds the requests that wait for a server that does not read.
const maxQueue = 64

// push queues a request. One for the same type that still waits is replaced,
// unless it must be kept.
func (s *session) push(o outgoing) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := len(s.queue) - 1; i >= 0; i-- {
		if s.queue[i].typeURL == o.typeURL {
			if s.queue[i].keep {
				break
			}
			s.queue[i] = o
			return
		}
	}
	s.queue = append(s.queue, o)
	notify(s.wake)
}

// take empties the queue.
func (s *session) takeAll() []outgoing {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := s.queue
	s.queue = nil
	notify(s.drained)
	return q
}

func (s *session) full() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.queue) >= maxQueue
}

func (s *session) waitRoom(ctx context.Context) error {
	for s.full() {
		select {
		case <-s.drained:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// send writes what is queued until the stream ends; why it did, receive learns.
func (s *session) send(ctx context.Context, gs grpc.ClientStream) {
	for {
		select {
		case <-s.wake:
		case <-ctx.Done():
			return
		}
		for _, o := range s.takeAll() {
			if gs.SendMsg(o.msg) != nil {
				return
			}
		}
	}
}

// notify wakes the one who waits on ch, a channel with room for one.
func notify(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}
