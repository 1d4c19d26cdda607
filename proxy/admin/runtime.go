package admin

import (
	"fmt"
	"net/http"
)

func (s *Server) runtime(w http.ResponseWriter, r *http.Request) error {
	if s.sources.Runtime == nil {
		return errNotSupported
	}
	values, err := s.sources.Runtime(r.Context())
	if err != nil {
		return err
	}
	// Empty, not null.
	if values.Layers == nil {
		values.Layers = []string{}
	}
	if values.Entries == nil {
		values.Entries = map[string]RuntimeEntry{}
	}
	return writeJSON(w, struct {
		Entries map[string]RuntimeEntry `json:"entries"`
		Layers  []string                `json:"layers"`
	}{values.Entries, values.Layers})
}

func (s *Server) runtimeModify(w http.ResponseWriter, r *http.Request) error {
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	if err := r.ParseForm(); err != nil {
		return badRequest("cannot read the parameters: %v\n", err)
	}
	if len(r.Form) == 0 {
		return badRequest("usage: /runtime_modify?key1=value1&key2=value2&keyN=valueN\n" +
			"       or send the parameters as form values\n" +
			"use an empty value to remove a previously added override")
	}
	if s.sources.ModifyRuntime == nil {
		return &pageError{http.StatusServiceUnavailable, "No admin layer specified"}
	}
	values := map[string]string{}
	for key := range r.Form {
		values[key] = r.Form.Get(key)
	}
	if err := s.sources.ModifyRuntime(values); err != nil {
		return fmt.Errorf("cannot change the runtime: %w", err)
	}
	return confirm(w)
}
