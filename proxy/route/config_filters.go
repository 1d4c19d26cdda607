package route

import (
	"errors"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/weirproxy/weir/internal/field"
)

// filterConfigs compiles the typed_per_filter_config of the message at p.
func (k *compiler) filterConfigs(p field.Path, c map[string]*anypb.Any) (filterConfigs, error) {
	if len(c) == 0 {
		return nil, nil
	}
	out := make(filterConfigs, 0, len(c))
	for name, config := range c {
		fp := p.Dot("typed_per_filter_config").Key(name)
		f, err := k.filterConfig(fp, name, config)
		if err != nil {
			return nil, fp.Wrap(err)
		}
		if f != nil {
			out = append(out, *f)
		}
	}
	return out, nil
}

// filterConfig compiles one of them; nil when it is optional and unknown.
func (k *compiler) filterConfig(p field.Path, name string, config *anypb.Any) (*filterConfig, error) {
	optional := false
	if config.MessageIs((*routev3.FilterConfig)(nil)) {
		var wrapper routev3.FilterConfig
		if err := config.UnmarshalTo(&wrapper); err != nil {
			return nil, err
		}
		switch {
		case wrapper.GetDisabled(): // what else it says does not matter
			return &filterConfig{name: name, disabled: true}, nil
		case wrapper.GetConfig() == nil:
			return nil, p.Dot("config").Errorf("a FilterConfig without disabled needs a config; an empty one only enables the filter")
		case wrapper.GetConfig().GetTypeUrl() == "":
			return &filterConfig{name: name}, nil
		}
		optional, config = wrapper.GetIsOptional(), wrapper.GetConfig()
	}
	if k.FilterConfig == nil {
		return nil, p.Errorf("no filter takes %s here", config.GetTypeUrl())
	}
	compiled, err := k.FilterConfig(p, name, config)
	if optional && errors.Is(err, ErrUnknownFilter) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if c, ok := compiled.(interface{ Close() }); ok {
		k.config.closers = append(k.config.closers, c)
	}
	return &filterConfig{name: name, config: compiled}, nil
}
