package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/weirproxy/weir/agent/pods"
)

// Client talks to an agent by its control socket.
type Client struct {
	socket string
}

// NewClient talks to the agent with those options.
func NewClient(o Options) *Client { return &Client{o.controlSocket()} }

const controlTimeout = 30 * time.Second

// Status asks how things are.
func (c *Client) Status(ctx context.Context) (Status, error) {
	var s Status
	return s, c.do(ctx, http.MethodGet, "/status", nil, &s)
}

// AddPod adds a pod.
func (c *Client) AddPod(ctx context.Context, spec pods.Spec) error {
	return c.do(ctx, http.MethodPost, "/pods", spec, nil)
}

// RemovePod lets a pod go.
func (c *Client) RemovePod(ctx context.Context, namespace, name string) error {
	return c.do(ctx, http.MethodDelete, "/pods/"+namespace+"/"+name, nil, nil)
}

// PodStarting tells of a pod that starts, and returns when it is caught if it
// is to be.
func (c *Client) PodStarting(ctx context.Context, s Starting) (caught bool, err error) {
	var answer struct{ Caught bool }
	err = c.do(ctx, http.MethodPost, "/starting", s, &answer)
	return answer.Caught, err
}

// PodStopped tells that the pod's namespace is about to go.
func (c *Client) PodStopped(ctx context.Context, s Starting) error {
	return c.do(ctx, http.MethodPost, "/stopped", s, nil)
}

func (c *Client) do(ctx context.Context, method, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://agent"+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", c.socket)
	}}
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport, Timeout: controlTimeout}).Do(req)
	if err != nil {
		return fmt.Errorf("no agent answers on %s (is `weir agent` running?): %w", c.socket, errors.Unwrap(err))
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode == http.StatusOK {
		if out == nil {
			return nil
		}
		return json.Unmarshal(text, out)
	}
	var failure struct {
		Error string `json:"error"`
	}
	if json.Unmarshal(text, &failure) == nil && failure.Error != "" {
		return errors.New(failure.Error)
	}
	return fmt.Errorf("the agent answered %s", resp.Status)
}
