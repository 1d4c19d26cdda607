package field

import (
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// Unpack decodes an extension's configuration, which lies at p, into m, and
// checks the rules that m's proto has.
func Unpack(p Path, a *anypb.Any, m proto.Message) error {
	if err := a.UnmarshalTo(m); err != nil {
		return p.Wrap(err)
	}
	if v, ok := m.(interface{ ValidateAll() error }); ok {
		return p.Wrap(v.ValidateAll())
	}
	return nil
}
