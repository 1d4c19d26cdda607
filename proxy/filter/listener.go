package filter

import (
	"github.com/weirproxy/weir/proxy/filter/listener/httpinspector"
	"github.com/weirproxy/weir/proxy/filter/listener/localratelimit"
	"github.com/weirproxy/weir/proxy/filter/listener/originaldst"
	"github.com/weirproxy/weir/proxy/filter/listener/originalsrc"
	"github.com/weirproxy/weir/proxy/filter/listener/proxyprotocol"
	"github.com/weirproxy/weir/proxy/filter/listener/tlsinspector"
	"github.com/weirproxy/weir/proxy/listener"
)

// Listener is the table of listener filters, by the type URL of their
// configuration.
func Listener() map[string]listener.FilterFactory {
	return map[string]listener.FilterFactory{
		httpinspector.TypeURL:  httpinspector.Factory(),
		localratelimit.TypeURL: localratelimit.Factory(),
		originaldst.TypeURL:    originaldst.Factory(),
		originalsrc.TypeURL:    originalsrc.Factory(),
		proxyprotocol.TypeURL:  proxyprotocol.Factory(),
		tlsinspector.TypeURL:   tlsinspector.Factory(),
	}
}
