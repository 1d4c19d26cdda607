package http

import (
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/xds/protos"
)

// NewFrom is FilterMaker.New for a filter whose configuration is an M, which
// compile makes a factory of.
func NewFrom[M proto.Message, F FilterFactory](compile func(p field.Path, m M, ctx *FactoryContext) (F, error)) func(field.Path, *anypb.Any, *FactoryContext) (FilterFactory, error) {
	return func(p field.Path, config *anypb.Any, ctx *FactoryContext) (FilterFactory, error) {
		m, err := protos.UnpackAs[M](p, config)
		if err != nil {
			return nil, err
		}
		f, err := compile(p, m, ctx)
		if err != nil {
			return nil, err
		}
		return f, nil
	}
}

// RouteFrom is FilterMaker.RouteConfig likewise.
func RouteFrom[M proto.Message, C any](compile func(p field.Path, m M, ctx *FactoryContext) (C, error)) RouteConfigMaker {
	return func(p field.Path, config *anypb.Any, ctx *FactoryContext) (any, error) {
		m, err := protos.UnpackAs[M](p, config)
		if err != nil {
			return nil, err
		}
		c, err := compile(p, m, ctx)
		if err != nil {
			return nil, err
		}
		return c, nil
	}
}
