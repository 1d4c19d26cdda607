package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/weirproxy/weir/agent/netns"
	"github.com/weirproxy/weir/agent/pods"
)

// The control socket speaks HTTP with JSON, to root only:
//
//	GET    /status                    Status
//	GET    /connections               Events of the connections that live
//	GET    /closed                    Events of those that end, a line each, for ever
//	POST   /pods                      a pods.Spec
//	DELETE /pods/NAMESPACE/NAME
//	POST   /starting                  Starting; {"caught": BOOL} when it is done
//	POST   /stopped                   Starting, of which netns counts
//	POST   /retire                    the caller takes over
//
// An error is {"error": TEXT}.

const maxControlBody = 64 << 10

func (a *Agent) listenControl() (net.Listener, error) {
	path := a.opts.controlSocket()
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

func (a *Agent) serveControl(ctx context.Context, l net.Listener) error {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, r *http.Request) {
		s, err := a.Status()
		reply(w, s, http.StatusInternalServerError, err)
	})
	mux.HandleFunc("GET /connections", func(w http.ResponseWriter, r *http.Request) {
		reply(w, a.Connections(r.Context()), http.StatusOK, nil)
	})
	mux.HandleFunc("GET /closed", a.streamClosed)
	mux.HandleFunc("POST /pods", func(w http.ResponseWriter, r *http.Request) {
		var spec pods.Spec
		err := read(w, r, &spec)
		if err == nil {
			err = a.AddPod(r.Context(), &spec)
		}
		reply(w, spec, http.StatusBadRequest, err)
	})
	mux.HandleFunc("DELETE /pods/{namespace}/{name}", func(w http.ResponseWriter, r *http.Request) {
		err := a.RemovePod(r.PathValue("namespace"), r.PathValue("name"))
		reply(w, struct{}{}, http.StatusNotFound, err)
	})
	mux.HandleFunc("POST /starting", func(w http.ResponseWriter, r *http.Request) {
		var s Starting
		err := read(w, r, &s)
		var caught bool
		if err == nil {
			caught, err = a.PodStarting(r.Context(), s)
		}
		reply(w, map[string]bool{"caught": caught}, http.StatusConflict, err)
	})
	mux.HandleFunc("POST /stopped", func(w http.ResponseWriter, r *http.Request) {
		var s Starting
		err := read(w, r, &s)
		if err == nil {
			a.PodStopped(s.Netns)
		}
		reply(w, struct{}{}, http.StatusBadRequest, err)
	})
	mux.HandleFunc("POST /retire", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, struct{}{}, http.StatusOK, nil)
		select {
		case a.retire <- struct{}{}:
		default: // it was asked before
		}
	})
	server := &http.Server{Handler: mux, ReadTimeout: 10 * time.Second, ReadHeaderTimeout: 5 * time.Second}
	defer context.AfterFunc(ctx, func() { server.Close() })()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("control socket: %w", err)
	}
	return nil
}

func read(w http.ResponseWriter, r *http.Request, v any) error {
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxControlBody))
	d.DisallowUnknownFields()
	return d.Decode(v)
}

func reply(w http.ResponseWriter, ok any, code int, err error) {
	w.Header().Set("Content-Type", "application/json")
	if err != nil {
		w.WriteHeader(code)
		ok = map[string]string{"error": err.Error()}
	}
	json.NewEncoder(w).Encode(ok) // a client that is gone needs no answer
}

// AddPod manages a pod from now on, also after a restart. It completes the
// spec. A pod that cannot be managed now is not added; only for addresses that
// it is about to have AddPod waits.
func (a *Agent) AddPod(ctx context.Context, spec *pods.Spec) error {
	if err := spec.Complete(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, tentativeTimeout)
	defer cancel()
	for {
		err := a.addPod(spec)
		if !errors.Is(err, netns.ErrTentative) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// tentativeTimeout is ample for duplicate address detection.
const tentativeTimeout = 5 * time.Second

func (a *Agent) addPod(spec *pods.Spec) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	key := spec.Key()
	if _, taken := a.wanted()[key]; taken {
		return fmt.Errorf("pod %s is there already", key)
	}
	a.added[key] = *spec // before it is caught: the state is saved then
	if err := a.add(*spec); err != nil {
		delete(a.added, key)
		delete(a.failed, key)
		a.saveState()
		return fmt.Errorf("pod %s: %w", key, err)
	}
	return nil
}

// RemovePod lets a pod go that was added.
func (a *Agent) RemovePod(namespace, name string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	key := pods.Key(namespace, name)
	if _, ok := a.added[key]; !ok {
		for _, s := range a.static {
			if s.Key() == key {
				return fmt.Errorf("pod %s is one of %s: remove it there and send SIGHUP", key, a.opts.Config)
			}
		}
		return fmt.Errorf("no pod %s", key)
	}
	delete(a.added, key)
	a.reconcile()
	a.saveState()
	return nil
}
