package tlsinspector

import (
	tlsinspectorv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/listener/tls_inspector/v3"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/listener"
	"github.com/weirproxy/weir/proxy/stats"
)

// TypeURL is the type of the filter's configuration.
const TypeURL = "type.googleapis.com/envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector"

// maxHelloDefault is Envoy's max_client_hello_size in bytes.
const maxHelloDefault = 16 << 10

// Factory makes the filter's factories. initial_read_buffer_size is a hint that
// weir has no use for: all connections of a worker share one buffer.
func Factory() listener.FilterFactory { return listener.FilterFrom(compile) }

func compile(path field.Path, p *tlsinspectorv3.TlsInspector, ctx *listener.FactoryContext) (listener.Filter, error) {
	if err := field.Only(path, p, "enable_ja3_fingerprinting", "enable_ja4_fingerprinting", "initial_read_buffer_size", "close_connection_on_client_hello_parsing_errors", "max_client_hello_size"); err != nil {
		return nil, err
	}
	f := &filter{max: maxHelloDefault, strict: p.GetCloseConnectionOnClientHelloParsingErrors(),
		ja3: p.GetEnableJa3Fingerprinting().GetValue(), ja4: p.GetEnableJa4Fingerprinting().GetValue(), stats: stats.NewGroup[Stats](ctx.Stats, stats.Scope{Prefix: "tls_inspector."})}
	ctx.OnClose(f.stats.Close)
	if v := p.GetMaxClientHelloSize(); v != nil {
		f.max = min(int(v.GetValue()), listener.PeekMax)
	}
	return f, nil
}
