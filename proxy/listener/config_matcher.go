package listener

import (
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/matcher/tree"
	"github.com/weirproxy/weir/xds/protos"
)

// chainMatcher compiles filter_chain_matcher, whose actions are chains' names.
// It stands in the place of the chains' own filter_chain_match.
func (c *compiler) chainMatcher() (err error) {
	l := c.out
	l.byName = map[string]*Chain{}
	for i, p := range c.proto.GetFilterChains() {
		path := c.path.Dot("filter_chains").Index(i)
		if _, twice := l.byName[p.GetName()]; twice || p.GetName() == "" {
			return path.Dot("name").Errorf("chains that filter_chain_matcher picks need names of their own, %q is not one", p.GetName())
		}
		l.byName[p.GetName()] = nil // known later
	}
	o := tree.Options[string]{Context: tree.Sockets, KeepMatching: true, Runtime: c.server.Runtime, Action: func(path field.Path, _ string, config *anypb.Any) (string, error) {
		name, err := protos.UnpackAs[*wrapperspb.StringValue](path, config)
		return name.GetValue(), err
	}}
	l.matcher, err = tree.Compile(c.path.Dot("filter_chain_matcher"), c.proto.GetFilterChainMatcher(), o)
	return err
}
