package protos

import (
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/weirproxy/weir/internal/field"
)

// CheckVersion refuses, at a transport_api_version, what services no longer
// speak.
func CheckVersion(p field.Path, v corev3.ApiVersion) error {
	//lint:ignore SA1019 to refuse it
	if v == corev3.ApiVersion_V2 {
		return p.Errorf("V2 is no longer supported, set V3")
	}
	return nil
}
