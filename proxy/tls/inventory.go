package tls

import (
	"crypto/x509"
	"slices"
	"time"

	"github.com/weirproxy/weir/proxy/secret"
)

// Inventory is the certificates of all contexts, for the admin interface's
// /certs and the days until the first of them expires. It belongs to main.
type Inventory struct{ entries []*inventoryEntry }

// Listed is one certificate of a context and where it came from.
type Listed struct {
	Path string
	Cert *x509.Certificate
}

// ListedContext are one context's certificates.
type ListedContext struct{ CAs, Chain []Listed }

type inventoryEntry struct{ ListedContext }

// add makes the entry of a context, which ends with its scope.
func (i *Inventory) add(scope secret.Scope) *inventoryEntry {
	e := &inventoryEntry{}
	if i != nil {
		i.entries = append(i.entries, e)
		scope.OnClose(func() { i.entries = slices.DeleteFunc(i.entries, func(x *inventoryEntry) bool { return x == e }) })
	}
	return e
}

func (e *inventoryEntry) set(s *secrets) {
	e.ListedContext = ListedContext{}
	for _, c := range s.certs {
		e.Chain = append(e.Chain, Listed{c.path, c.Leaf})
	}
	if v := s.validation; v != nil && len(v.anchors) > 0 {
		e.CAs = append(e.CAs, Listed{v.sourcePath, v.anchors[0]})
	}
}

// Contexts are those of all contexts.
func (i *Inventory) Contexts() (out []ListedContext) {
	for _, e := range i.entries {
		out = append(out, e.ListedContext)
	}
	return out
}

// FirstExpiry is when the first certificate expires; ok is false when there
// is none.
func (i *Inventory) FirstExpiry() (first time.Time, ok bool) {
	for _, e := range i.entries {
		for _, l := range slices.Concat(e.CAs, e.Chain) {
			if !ok || l.Cert.NotAfter.Before(first) {
				first, ok = l.Cert.NotAfter, true
			}
		}
	}
	return first, ok
}
