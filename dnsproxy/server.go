package dnsproxy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Bounds of what goes on at once. Questions beyond them are dropped, as a full
// socket would; a client asks again.
const (
	questionsPerPod = 128
	questionsInAll  = 2048
	maxQuery        = 4096 // bytes; longer ones are dropped
)

// Pod is whose questions a socket brings.
type Pod struct {
	ID   uint32
	Name string // for people
	IPv6 bool   // it has an IPv6 address
	// Servers tells whom it asked. It is the Server's from [Server.Add] on. nil
	// if questions come by connections only.
	Servers *Servers
}

// Options are what a [Server] works with.
type Options struct {
	Dial Dial
	Log  *slog.Logger
}

// Stats count what became of the questions.
type Stats struct {
	Questions atomic.Uint64 // all that came
	Given     atomic.Uint64 // answered from the configuration
	Cached    atomic.Uint64 // answered again
	Forwarded atomic.Uint64 // asked of a server
	StandIn   atomic.Uint64 // a host of the mesh got an address that stands for it
	Failed    atomic.Uint64 // the server could not be asked, or did not answer
	Dropped   atomic.Uint64 // one too many at once, or not from a pod
	Truncated atomic.Uint64 // asked again by TCP
}

// Server answers pods. Its methods may be called from any goroutine.
type Server struct {
	Stats Stats

	opts     Options
	names    atomic.Pointer[Names]
	standIns standIns
	slots    chan struct{} // one for each question under way
	ctx      context.Context
	cancel   context.CancelFunc
	serving  sync.WaitGroup

	mu   sync.RWMutex
	pods map[uint32]*pod
}

// pod is a pod and what is kept for it.
type pod struct {
	Pod
	sockets []*socket
	slots   chan struct{}
	streams atomic.Int32
	cache   cache
	learned learned
}

// New makes a server without pods.
func New(o Options) *Server {
	s := &Server{opts: o, slots: make(chan struct{}, questionsInAll), pods: map[uint32]*pod{}}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.names.Store(NewNames())
	return s
}

// SetNames replaces what the proxy itself knows.
func (s *Server) SetNames(n *Names) { s.names.Store(n) }

// Add answers a pod's questions from now on. It takes the sockets over, which
// need p.Servers, and replaces those that the pod had.
func (s *Server) Add(p Pod, fds []int) error {
	s.Remove(p.ID)
	added := &pod{Pod: p, slots: make(chan struct{}, questionsPerPod)}
	var errs []error
	for _, fd := range fds {
		socket, err := newSocket(fd)
		if err != nil {
			errs = append(errs, fmt.Errorf("DNS of pod %s: %w", p.Name, err))
			continue
		}
		added.sockets = append(added.sockets, socket)
	}
	s.mu.Lock()
	s.pods[p.ID] = added
	s.mu.Unlock()
	var reading sync.WaitGroup
	for _, socket := range added.sockets {
		reading.Go(func() { s.serve(added, socket) })
	}
	s.serving.Go(func() {
		reading.Wait()
		if p.Servers != nil {
			p.Servers.Close()
		}
	})
	return errors.Join(errs...)
}

// MoveServers has a pod's [Servers] read another table ([Servers.Move]).
func (s *Server) MoveServers(podID uint32, fd int, slot uint32) error {
	p := s.pod(podID)
	if p == nil || p.Servers == nil {
		return nil
	}
	return p.Servers.Move(fd, slot)
}

// Remove forgets a pod and closes its sockets.
func (s *Server) Remove(id uint32) {
	s.mu.Lock()
	p := s.pods[id]
	delete(s.pods, id)
	s.mu.Unlock()
	if p != nil {
		p.close()
	}
}

// closeGrace is how long questions under way are waited for at the end.
const closeGrace = time.Second

// Close ends everything, once the questions under way are answered, or some
// time has passed. What comes meanwhile stays in the sockets, for whoever else
// has them.
func (s *Server) Close() {
	s.mu.Lock()
	pods := slices.Collect(maps.Values(s.pods))
	clear(s.pods)
	s.mu.Unlock()
	for _, p := range pods {
		for _, socket := range p.sockets {
			socket.conn.SetReadDeadline(time.Unix(1, 0)) // serve returns
		}
	}
	s.drain()
	s.cancel()
	for _, p := range pods {
		p.close()
	}
	s.serving.Wait()
}

// drain waits until no question is under way, by taking their places.
func (s *Server) drain() {
	late := time.After(closeGrace)
	for range cap(s.slots) {
		select {
		case s.slots <- struct{}{}:
		case <-late:
			return
		}
	}
}

func (p *pod) close() {
	for _, socket := range p.sockets {
		socket.conn.Close()
	}
}

// Name is what a pod called an address when it last got it in an answer; empty
// if it did not.
func (s *Server) Name(podID uint32, addr netip.Addr) string {
	p := s.pod(podID)
	if p == nil {
		return ""
	}
	return p.learned.name(addr, time.Now())
}

func (s *Server) pod(id uint32) *pod {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.pods[id]
}

// serve reads a socket until it is closed.
func (s *Server) serve(p *pod, socket *socket) {
	buf := make([]byte, maxQuery)
	for {
		n, from, alias, err := socket.read(buf)
		if errors.Is(err, net.ErrClosed) || errors.Is(err, os.ErrDeadlineExceeded) {
			return
		}
		if err != nil && !errors.Is(err, errNotLocal) {
			// Such as a pod's refusal of an earlier answer: not ours to mend.
			time.Sleep(time.Millisecond)
			continue
		}
		s.Stats.Questions.Add(1)
		server, known := p.Servers.Of(alias)
		if !known || n < headerSize || n > len(buf) || isResponse(buf[:n]) || !s.enter(p) {
			s.Stats.Dropped.Add(1)
			continue
		}
		query := append([]byte(nil), buf[:n]...)
		s.serving.Go(func() {
			defer s.leave(p)
			answer := s.answer(p, server, query, false)
			if answer != nil {
				socket.write(answer, alias, from) // who is gone needs no answer
			}
		})
	}
}

// enter takes a slot for a question; false when it is one too many.
func (s *Server) enter(p *pod) bool {
	select {
	case p.slots <- struct{}{}:
	default:
		return false
	}
	select {
	case s.slots <- struct{}{}:
		return true
	default:
		<-p.slots
		return false
	}
}

func (s *Server) leave(p *pod) {
	<-s.slots
	<-p.slots
}
