package agent

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// Problems are what keeps the node from catching what it should, in words;
// none when everything is as it should be.
func (s *Status) Problems() []string {
	var problems []string
	if len(s.Proxies) == 0 && !s.onlyExternal() {
		problems = append(problems, "no proxy is connected")
	}
	if s.SinceHeartbeat != nil && s.MaxSilence > 0 && *s.SinceHeartbeat > s.MaxSilence {
		problems = append(problems, fmt.Sprintf("the proxy is silent for %.0f s", *s.SinceHeartbeat))
	}
	for _, p := range s.Pods {
		if p.State == "caught" {
			continue
		}
		problem := fmt.Sprintf("pod %s/%s is %s", p.Namespace, p.Name, p.State)
		if p.Error != "" {
			problem += ": " + strings.ReplaceAll(p.Error, "\n", "; ")
		}
		problems = append(problems, problem)
	}
	return problems
}

// onlyExternal reports whether every pod, and there are some, has a proxy of
// its own.
func (s *Status) onlyExternal() bool {
	for _, p := range s.Pods {
		if !p.External {
			return false
		}
	}
	return len(s.Pods) > 0
}

// waitInterval is how often WaitReady asks.
const waitInterval = 200 * time.Millisecond

// WaitReady waits until an agent answers and its status has no problems. When
// ctx ends first the error tells what they are.
func (c *Client) WaitReady(ctx context.Context) (Status, error) {
	for {
		s, err := c.Status(ctx)
		problems := s.Problems()
		if err == nil && len(problems) == 0 {
			return s, nil
		}
		if err == nil {
			err = fmt.Errorf("not ready: %s", strings.Join(problems, "; "))
		}
		select {
		case <-ctx.Done():
			return s, err
		case <-time.After(waitInterval):
		}
	}
}
