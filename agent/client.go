package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
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
	resp, err := c.send(ctx, method, path, in, controlTimeout)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if out == nil {
		return nil
	}
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, out)
}

// send returns the agent's answer if it is OK. With a timeout of 0 the answer
// may take for ever.
func (c *Client) send(ctx context.Context, method, path string, in any, timeout time.Duration) (*http.Response, error) {
	body, err := json.Marshal(in)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://agent"+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", c.socket)
	}}
	resp, err := (&http.Client{Transport: transport, Timeout: timeout}).Do(req)
	if errors.Is(err, fs.ErrPermission) {
		return nil, fmt.Errorf("%s is root's: try sudo", c.socket)
	}
	if err != nil {
		return nil, fmt.Errorf("no agent answers on %s (is `weir agent` running?): %w", c.socket, errors.Unwrap(err))
	}
	if resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	defer resp.Body.Close()
	var failure struct {
		Error string `json:"error"`
	}
	if text, err := io.ReadAll(resp.Body); err == nil && json.Unmarshal(text, &failure) == nil && failure.Error != "" {
		return nil, errors.New(failure.Error)
	}
	return nil, fmt.Errorf("the agent answered %s", resp.Status)
}
