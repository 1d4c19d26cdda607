package server

import "github.com/weirproxy/weir/proxy/overload"

func (s *server) makeOverload() (err error) {
	s.overload, err = overload.New("overload_manager", s.bootstrap.GetOverloadManager(), overload.Options{
		Stats: s.stats, Log: s.main, Post: s.loops[0].Post, Connections: func() int64 { return s.listeners.Connections() },
	})
	return err
}
