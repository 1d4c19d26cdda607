package admin

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"
)

func (s *Server) configDump(w http.ResponseWriter, r *http.Request) error {
	if s.sources.ConfigDump == nil {
		return errNotSupported
	}
	w.Header().Set("Content-Type", "text/plain") // of errors
	q := r.URL.Query()
	var names *regexp.Regexp
	if pattern := q.Get("name_regex"); pattern != "" {
		var err error
		if names, err = regexp.Compile("^(?:" + pattern + ")$"); err != nil { // the whole name, unlike other filters
			return badRequest("INVALID_ARGUMENT: Error while parsing name_regex from %s: %v\n", pattern, err)
		}
	}
	configs, err := s.sources.ConfigDump(r.Context(), q.Has("include_eds"))
	if err != nil {
		return err
	}
	configs = slices.Clone(configs)
	for i := range configs {
		configs[i] = proto.Clone(configs[i])
		if names != nil {
			keepNamed(configs[i].ProtoReflect(), names)
		}
	}
	switch resource, paths := q.Get("resource"), q.Get("mask"); {
	case resource != "":
		configs, err = pickResource(configs, resource, paths)
	case paths != "":
		configs, err = applyMask(configs, paths)
	}
	if err != nil {
		return err
	}
	for _, c := range configs {
		Redact(c)
	}
	text, err := dumpJSON(configs)
	if err != nil {
		return fmt.Errorf("cannot print the configuration: %w", err)
	}
	w.Header().Set("Content-Type", "application/json")
	_, err = w.Write(text)
	return err
}

// keepNamed drops the resources of a dump whose names don't match. Resources
// are the elements of its repeated fields.
func keepNamed(dump protoreflect.Message, names *regexp.Regexp) {
	dump.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if !fd.IsList() || fd.Message() == nil {
			return true
		}
		list, n := v.List(), 0
		for i := range list.Len() {
			if names.MatchString(resourceName(list.Get(i).Message())) {
				list.Set(n, list.Get(i))
				n++
			}
		}
		list.Truncate(n)
		return true
	})
}

// resourceName is the name of a dump's element, or of the resource in it.
func resourceName(m protoreflect.Message) string {
	for _, field := range []protoreflect.Name{"name", "cluster_name"} {
		if fd := m.Descriptor().Fields().ByName(field); fd != nil && fd.Kind() == protoreflect.StringKind && m.Get(fd).String() != "" {
			return m.Get(fd).String()
		}
	}
	name := ""
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if fd.IsList() || fd.IsMap() || fd.Message() == nil {
			return true
		}
		if packed, ok := v.Message().Interface().(*anypb.Any); ok {
			if inner, err := packed.UnmarshalNew(); err == nil {
				name = resourceName(inner.ProtoReflect())
			}
			return false
		}
		return true
	})
	return name
}

// pickResource is ?resource=: the elements of one repeated field, masked.
func pickResource(configs []proto.Message, resource, paths string) ([]proto.Message, error) {
	for _, c := range configs {
		m := c.ProtoReflect()
		fd := m.Descriptor().Fields().ByName(protoreflect.Name(resource))
		if fd == nil {
			continue
		}
		if !fd.IsList() {
			return nil, badRequest("%s is not a repeated field. Use ?mask=%s to get only this field", resource, resource)
		}
		var picked []proto.Message
		list := m.Get(fd).List()
		for i := range list.Len() {
			picked = append(picked, list.Get(i).Message().Interface())
		}
		if paths == "" || len(picked) == 0 {
			return picked, nil
		}
		picked, err := applyMask(picked, paths)
		if err != nil {
			return nil, badRequest("FieldMask %s could not be successfully used.", paths)
		}
		return picked, nil
	}
	return nil, &pageError{http.StatusNotFound, resource + " not found in config dump"}
}

// applyMask is ?mask=: the messages that have any of its paths, with those only.
func applyMask(configs []proto.Message, paths string) ([]proto.Message, error) {
	var out []proto.Message
	for _, c := range configs {
		if tree := parseMask(paths, c.ProtoReflect().Descriptor()); len(tree) > 0 {
			tree.trim(c.ProtoReflect())
			out = append(out, c)
		}
	}
	if len(out) == 0 {
		return nil, badRequest("FieldMask %s could not be successfully applied to any configs.", paths)
	}
	return out, nil
}

// dumpJSON prints the messages as an envoy.admin.v3.ConfigDump.
func dumpJSON(configs []proto.Message) ([]byte, error) {
	if len(configs) == 0 {
		return []byte("{}\n"), nil
	}
	var b bytes.Buffer
	b.WriteString(`{"configs":[`)
	for i, c := range configs {
		if i > 0 {
			b.WriteByte(',')
		}
		packed, err := anypb.New(c)
		if err != nil {
			return nil, err
		}
		text, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(packed)
		if err != nil {
			return nil, err
		}
		b.Write(text)
	}
	b.WriteString("]}")
	return indent(b.Bytes())
}

// protoJSON prints a message as Envoy does, with zero values if asked to.
func protoJSON(m proto.Message, zeros bool) ([]byte, error) {
	text, err := protojson.MarshalOptions{UseProtoNames: true, EmitDefaultValues: zeros}.Marshal(m)
	if err != nil {
		return nil, err
	}
	return indent(text)
}

// indent gives Envoy's layout to what protojson prints, which varies its
// spaces from build to build on purpose.
func indent(text []byte) ([]byte, error) {
	var compact, out bytes.Buffer
	if err := json.Compact(&compact, text); err != nil {
		return nil, err
	}
	if err := json.Indent(&out, compact.Bytes(), "", " "); err != nil {
		return nil, err
	}
	out.WriteByte('\n')
	return out.Bytes(), nil
}
