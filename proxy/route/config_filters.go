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
		fp, f, optional := p.Dot("typed_per_filter_config").Key(name), filterConfig{name: name}, false
		if config.MessageIs((*routev3.FilterConfig)(nil)) {
			var wrapper routev3.FilterConfig
			if err := config.UnmarshalTo(&wrapper); err != nil {
				return nil, fp.Wrap(err)
			}
			f.disabled, optional, config = wrapper.GetDisabled(), wrapper.GetIsOptional(), wrapper.GetConfig()
		}
		if config != nil {
			if k.FilterConfig == nil {
				return nil, fp.Errorf("no filter takes %s here", config.GetTypeUrl())
			}
			var err error
			f.config, err = k.FilterConfig(fp, name, config)
			if optional && errors.Is(err, ErrUnknownFilter) {
				continue
			}
			if err != nil {
				return nil, fp.Wrap(err)
			}
		}
		out = append(out, f)
	}
	return out, nil
}
