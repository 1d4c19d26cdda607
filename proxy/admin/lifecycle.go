package admin

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
)

func (s *Server) ready(w http.ResponseWriter, _ *http.Request) error {
	if s.sources.State == nil {
		return errNotSupported
	}
	state := s.sources.State()
	if state != Live {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_, err := fmt.Fprintln(w, state)
	return err
}

func (s *Server) serverInfo(w http.ResponseWriter, _ *http.Request) error {
	if s.sources.ServerInfo == nil {
		return errNotSupported
	}
	info := proto.Clone(s.sources.ServerInfo())
	Redact(info) // --config-yaml may hold a key
	text, err := protoJSON(info, true)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	_, err = w.Write(text)
	return err
}

func (s *Server) hotRestartVersion(w http.ResponseWriter, _ *http.Request) error {
	if s.sources.ServerInfo == nil {
		return errNotSupported
	}
	version := "disabled"
	info := s.sources.ServerInfo().ProtoReflect()
	if fd := info.Descriptor().Fields().ByName("hot_restart_version"); fd != nil {
		version = cmp.Or(info.Get(fd).String(), version)
	}
	_, err := fmt.Fprint(w, version)
	return err
}

func (s *Server) initDump(w http.ResponseWriter, r *http.Request) error {
	if s.sources.InitDump == nil {
		return errNotSupported
	}
	dump, err := s.sources.InitDump(r.Context())
	if err != nil {
		return err
	}
	// The names are those of init managers: "init manager Server", "Listener-init-target …".
	if mask := r.URL.Query().Get("mask"); mask != "" {
		dump = slices.DeleteFunc(slices.Clone(dump), func(t UnreadyTargets) bool {
			return !strings.Contains(strings.ToLower(t.Name), strings.ToLower(mask))
		})
	}
	return writeJSON(w, struct {
		Dumps []UnreadyTargets `json:"unready_targets_dumps,omitempty"`
	}{dump})
}

func (s *Server) failHealthCheck(w http.ResponseWriter, _ *http.Request) error {
	return s.setHealthCheck(w, true)
}

func (s *Server) passHealthCheck(w http.ResponseWriter, _ *http.Request) error {
	return s.setHealthCheck(w, false)
}

func (s *Server) setHealthCheck(w http.ResponseWriter, fail bool) error {
	if s.sources.FailHealthCheck == nil {
		return errNotSupported
	}
	s.sources.FailHealthCheck(fail)
	return confirm(w)
}

func (s *Server) drainListeners(w http.ResponseWriter, r *http.Request) error {
	if s.sources.Drain == nil {
		return errNotSupported
	}
	q := r.URL.Query()
	if err := s.sources.Drain(DrainOptions{Graceful: q.Has("graceful"), SkipExit: q.Has("skip_exit"), InboundOnly: q.Has("inboundonly")}); err != nil {
		return err
	}
	return confirm(w)
}

func (s *Server) quit(w http.ResponseWriter, _ *http.Request) error {
	if s.sources.Quit == nil {
		return errNotSupported
	}
	err := confirm(w)
	s.sources.Quit()
	return err
}

func (s *Server) reopenLogs(w http.ResponseWriter, _ *http.Request) error {
	if s.sources.ReopenLogs == nil {
		return errNotSupported
	}
	s.sources.ReopenLogs()
	return confirm(w)
}
