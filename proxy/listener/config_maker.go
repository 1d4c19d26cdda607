package listener

import (
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/xds/protos"
)

// NetworkFrom is the NetworkFactory of a filter whose configuration is an M.
func NetworkFrom[M proto.Message](compile func(p field.Path, m M, ctx *FactoryContext) (network.FilterFactory, error)) NetworkFactory {
	return from(compile)
}

// FilterFrom is the FilterFactory of a listener filter likewise.
func FilterFrom[M proto.Message](compile func(p field.Path, m M, ctx *FactoryContext) (Filter, error)) FilterFactory {
	return from(compile)
}

func from[M proto.Message, F any](compile func(p field.Path, m M, ctx *FactoryContext) (F, error)) func(field.Path, *anypb.Any, *FactoryContext) (F, error) {
	return func(p field.Path, config *anypb.Any, ctx *FactoryContext) (f F, err error) {
		m, err := protos.UnpackAs[M](p, config)
		if err != nil {
			return f, err
		}
		return compile(p, m, ctx)
	}
}
