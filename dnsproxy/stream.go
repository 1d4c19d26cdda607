package dnsproxy

import (
	"context"
	"net"
	"net/netip"
	"time"
)

// Bounds of a connection: as long as a client may be silent, and how much it
// may ask.
const (
	streamIdle      = 10 * time.Second
	streamQuestions = 1000
	streamsPerPod   = 32
)

// ServeStream answers the questions that come by a pod's connection to a
// server's port 53, one after another, and closes it. It does not block. What
// it cannot serve it closes.
func (s *Server) ServeStream(podID uint32, server netip.Addr, conn net.Conn) {
	p := s.pod(podID)
	if p == nil || p.streams.Add(1) > streamsPerPod || s.ctx.Err() != nil {
		s.Stats.Dropped.Add(1)
		if p != nil {
			p.streams.Add(-1)
		}
		conn.Close()
		return
	}
	s.serving.Go(func() {
		defer p.streams.Add(-1)
		defer conn.Close()
		defer context.AfterFunc(s.ctx, func() { conn.Close() })()
		for range streamQuestions {
			if s.serveOne(p, server, conn) != nil {
				return
			}
		}
	})
}

func (s *Server) serveOne(p *pod, server netip.Addr, conn net.Conn) error {
	if err := conn.SetDeadline(time.Now().Add(streamIdle)); err != nil {
		return err
	}
	query, err := readMessage(conn)
	if err != nil {
		return err
	}
	s.Stats.Questions.Add(1)
	if len(query) < headerSize || isResponse(query) || !s.enter(p) {
		s.Stats.Dropped.Add(1)
		return errNoAnswer
	}
	defer s.leave(p)
	answer := s.answer(p, server, query, true)
	if answer == nil {
		return errNoAnswer
	}
	return writeMessage(conn, answer)
}
