package istiopeer

import (
	"testing"

	"github.com/weirproxy/weir/proxy/istio"
)

func TestEncodeTellsWhatDecodeReads(t *testing.T) {
	node := map[string]any{
		"NAME": "pod", "NAMESPACE": "ns", "WORKLOAD_NAME": "w", "CLUSTER_ID": "c", "OWNER": "o", "SECRET": "s",
		"LABELS": map[string]any{"app": "a", "role": "r", "other": "x", "service.istio.io/canonical-name": "svc"},
	}
	header, err := encode(node, []string{"role"})
	if err != nil {
		t.Fatal(err)
	}
	m := decode(header)
	if labels, _ := m["LABELS"].(map[string]any); m["SECRET"] != nil || labels["other"] != nil || labels["role"] != "r" {
		t.Errorf("%v", m)
	}
	if got, want := istio.NewPeer(m).String(), "app=a,cluster=c,name=pod,namespace=ns,owner=o,service=svc,workload=w"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if again, _ := encode(node, []string{"role"}); again != header {
		t.Error("the header is not the same each time")
	}
}

func FuzzDecode(f *testing.F) {
	f.Add("CgoKBE5BTUUSAhoA")
	f.Fuzz(func(t *testing.T, s string) {
		if m := decode(s); m != nil {
			_ = istio.NewPeer(m).String()
		}
	})
}
