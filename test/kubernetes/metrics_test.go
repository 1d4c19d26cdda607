//go:build kubernetes

package kubernetes

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// metricsExist looks for every metric that the dashboards show in what the
// agent and the proxy answer.
func (n *node) metricsExist(t *testing.T) {
	var answered strings.Builder
	for _, url := range []string{"http://" + nodeIP + ":15020/stats/prometheus", "http://" + nodeIP + ":15021/metrics"} {
		text, err := get(url)
		if err != nil {
			t.Fatal(err)
		}
		answered.WriteString(text)
	}
	text, err := os.ReadFile(chart + "/files/dashboards/weir.json")
	if err != nil {
		t.Fatal(err)
	}
	names := regexp.MustCompile(`\b(envoy|weir|process)_[a-z_]+\b`).FindAllString(string(text), -1)
	shown := 0
	for _, name := range names {
		switch name {
		case "envoy_cluster_name", "weir_namespace", "weir_pod", "weir_direction": // labels
			continue
		}
		shown++
		if !strings.Contains(answered.String(), "\n"+name) {
			t.Errorf("no metric %s", name)
		}
	}
	if shown < 8 {
		t.Errorf("only %d metrics found in the dashboard", shown)
	}
}
