package doctor

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
)

const removed = "[removed]"

// scrub removes from a page what Envoy's rules for its admin pages leave in:
// values of headers and metadata that carry credentials, and configuration
// that was given on the command line, which is not redacted. In text that is
// not JSON these are NAME=VALUE.
func scrub(page []byte) []byte {
	d := json.NewDecoder(bytes.NewReader(page))
	d.UseNumber()
	var v any
	if d.Decode(&v) != nil || d.More() {
		return assignment.ReplaceAll(page, []byte("$1="+removed))
	}
	text, err := json.MarshalIndent(scrubValue(v), "", " ")
	if err != nil {
		return page // what was decoded can be encoded
	}
	return append(text, '\n')
}

var assignment = regexp.MustCompile(`(?i)([a-z-]*(?:authorization|cookie|api-key|password|secret|token|private-key|access-key))=\S+`)

func scrubValue(v any) any {
	switch v := v.(type) {
	case []any:
		for i := range v {
			v[i] = scrubValue(v[i])
		}
	case map[string]any:
		scrubObject(v)
	}
	return v
}

func scrubObject(o map[string]any) {
	// A HeaderValue, or one of the forms that match one.
	for _, field := range []string{"key", "name", "header_name"} {
		if name, ok := o[field].(string); ok && isCredential(name) {
			for _, value := range []string{"value", "raw_value", "string_match", "exact_match", "default_value"} {
				if _, ok := o[value]; ok {
					o[value] = removed
				}
			}
		}
	}
	for name, v := range o {
		if text, ok := v.(string); ok && text != "" && (name == "config_yaml" || isCredential(name)) {
			o[name] = removed
			continue
		}
		o[name] = scrubValue(v)
	}
}

// isCredential reports whether a header or field of that name has a value that
// is nobody's business.
func isCredential(name string) bool {
	name = strings.ToLower(name)
	switch name {
	case "authorization", "proxy-authorization", "cookie", "set-cookie", "api-key", "x-api-key", "apikey":
		return true
	}
	for _, end := range []string{"password", "secret", "token", "private-key", "private_key", "access-key", "access_key"} {
		if strings.HasSuffix(name, end) {
			return true
		}
	}
	return false
}
