// Fields that Envoy calls deprecated but obeys are obeyed here too.
//
//lint:file-ignore SA1019 see above

package route

import (
	"fmt"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/matcher"
)

// headerFields are the messages that carry header changes.
type headerFields interface {
	GetRequestHeadersToAdd() []*corev3.HeaderValueOption
	GetRequestHeadersToRemove() []string
	GetResponseHeadersToAdd() []*corev3.HeaderValueOption
	GetResponseHeadersToRemove() []string
}

func (k *compiler) mutations(p field.Path, c headerFields) (m mutations, err error) {
	if m.request, err = k.mutationList(p, "request_headers", c.GetRequestHeadersToAdd(), c.GetRequestHeadersToRemove()); err != nil {
		return m, err
	}
	m.response, err = k.mutationList(p, "response_headers", c.GetResponseHeadersToAdd(), c.GetResponseHeadersToRemove())
	return m, err
}

func (k *compiler) mutationList(p field.Path, what string, add []*corev3.HeaderValueOption, remove []string) (*mutationList, error) {
	if len(add) == 0 && len(remove) == 0 {
		return nil, nil
	}
	list := &mutationList{}
	for i, name := range remove {
		name, err := mutableName(name)
		if err != nil {
			return nil, p.Dot(what + "_to_remove").Index(i).Wrap(err)
		}
		list.remove = append(list.remove, name)
	}
	for i, c := range add {
		m, err := k.mutation(p.Dot(what+"_to_add").Index(i), c)
		if err != nil {
			return nil, err
		}
		list.add = append(list.add, m)
	}
	return list, nil
}

func mutableName(name string) (string, error) {
	name = matcher.LowerASCII(name)
	if name == "" {
		return "", fmt.Errorf("a header needs a name")
	}
	if name[0] == ':' || name == "host" {
		return "", fmt.Errorf("%q: pseudo-headers and host may not be changed this way", name)
	}
	return name, nil
}

func (k *compiler) mutation(p field.Path, c *corev3.HeaderValueOption) (m mutation, err error) {
	if err := field.Only(p, c, "header", "append", "append_action", "keep_empty_value"); err != nil {
		return m, err
	}
	hp := p.Dot("header")
	if err := field.Only(hp, c.GetHeader(), "key", "value", "raw_value"); err != nil {
		return m, err
	}
	m.keepEmpty = c.GetKeepEmptyValue()
	if m.name, err = mutableName(c.GetHeader().GetKey()); err != nil {
		return m, hp.Dot("key").Wrap(err)
	}
	switch c.GetAppendAction() {
	case corev3.HeaderValueOption_ADD_IF_ABSENT:
		m.action = addIfAbsent
	case corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD:
		m.action = overwriteOrAdd
	case corev3.HeaderValueOption_OVERWRITE_IF_EXISTS:
		m.action = overwriteIfExists
	}
	if a := c.GetAppend(); a != nil {
		if c.GetAppendAction() != corev3.HeaderValueOption_APPEND_IF_EXISTS_OR_ADD {
			return m, p.Errorf("append and append_action must not both be set")
		}
		if !a.GetValue() {
			m.action = overwriteOrAdd
		}
	}
	value := c.GetHeader().GetValue()
	if raw := c.GetHeader().GetRawValue(); len(raw) > 0 {
		value = string(raw)
	}
	if strings.ContainsAny(value, "\r\n\x00") {
		return m, hp.Dot("value").Errorf("a header value must not have CR, LF or NUL")
	}
	m.value, m.format, err = k.format(value)
	return m, hp.Dot("value").Wrap(err)
}

// format compiles a value that may hold substitution commands; formatter is
// nil when it holds none.
func (k *compiler) format(value string) (text string, formatter ValueFormatter, err error) {
	if strings.IndexByte(value, '%') < 0 {
		return value, nil, nil
	}
	if k.CompileFormat == nil {
		return "", nil, fmt.Errorf("substitution commands are not available for %q", value)
	}
	formatter, err = k.CompileFormat(value)
	return "", formatter, err
}
