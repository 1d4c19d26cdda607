package secret

import (
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"

	"github.com/weirproxy/weir/internal/field"
)

// Kind is what a secret holds.
type Kind uint8

const (
	Certificate Kind = iota
	ValidationContext
	TicketKeys
	GenericSecret
)

// OnChange takes a secret; paths in its errors begin with p. A nil secret says
// that it does not come in time: who waits for it is to wait no longer.
type OnChange func(p field.Path, s *tlsv3.Secret) error

// Provider finds the secrets that configurations name. The server implements
// it.
type Provider interface {
	// Watch calls onChange, on main, with the secret that c, which is at
	// path, names: before Watch returns when it is there, and whenever it
	// changes. What onChange refuses is rejected. cancel ends it.
	Watch(path field.Path, c *tlsv3.SdsSecretConfig, k Kind, onChange OnChange) (cancel func(), err error)
}

// Scope is the listener or cluster that a secret is for.
type Scope interface {
	// WaitFor keeps it from serving until done is called.
	WaitFor(what string) (done func())
	// OnClose has f called when it is gone.
	OnClose(f func())
}
