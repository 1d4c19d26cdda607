package tlsinspector

import "testing"

// TestFingerprints has a ClientHello written out, whose values can be worked
// out by hand: TLS 1.2 with TLS 1.3 offered, two suites and a reserved one.
func TestFingerprints(t *testing.T) {
	f := fingerprint{version: 0x0303, versions: []uint16{0x0304, 0x0303}, ciphers: []uint16{0x1302, 0x1301}, extensions: []uint16{0, 16, 43, 13},
		curves: []uint16{29, 23}, signatures: []uint16{0x0403}, pointFormats: []byte{0}, serverName: true, protocol: "h2"}
	// md5 of "771,4866-4865,0-16-43-13,29-23,0"
	if got, want := f.ja3(), "ed898583f4043701e398c64b05e53f3a"; got != want {
		t.Errorf("JA3 %s, want %s", got, want)
	}
	// sha256 of "1301,1302" and of "000d,002b_0403"
	if got, want := f.ja4(), "t13d0204h2_62ed6f6ca7ad_3953dc75acc4"; got != want {
		t.Errorf("JA4 %s, want %s", got, want)
	}
	if !isGREASE(0x1a1a) || isGREASE(0x1a2a) || isGREASE(0x1301) {
		t.Error("reserved values")
	}
}
