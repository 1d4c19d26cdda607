package route

import (
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/datasource"
	"github.com/weirproxy/weir/proxy/formatter"
	"github.com/weirproxy/weir/proxy/matcher"
)

func (k *compiler) redirect(p field.Path, c *routev3.RedirectAction) (*Redirect, error) {
	if err := field.Only(p, c, "https_redirect", "scheme_redirect", "host_redirect", "port_redirect", "path_redirect", "prefix_rewrite",
		"regex_rewrite", "path_rewrite", "response_code", "strip_query"); err != nil {
		return nil, err
	}
	d := &Redirect{
		Code:       redirectCode(c.GetResponseCode()),
		scheme:     c.GetSchemeRedirect(),
		host:       c.GetHostRedirect(),
		port:       portText(c.GetPortRedirect()),
		stripQuery: c.GetStripQuery(),
	}
	if c.GetHttpsRedirect() {
		d.scheme = "https"
	}
	var err error
	switch s := c.GetPathRewriteSpecifier().(type) {
	case *routev3.RedirectAction_PathRedirect:
		d.path = s.PathRedirect
	case *routev3.RedirectAction_PrefixRewrite:
		if s.PrefixRewrite != "" {
			d.rewrite.prefix = &s.PrefixRewrite
		}
	case *routev3.RedirectAction_RegexRewrite:
		d.rewrite.regex, err = matcher.NewSubstitution(p.Dot("regex_rewrite"), s.RegexRewrite, k.regexes)
	case *routev3.RedirectAction_PathRewrite:
		d.rewrite.format, err = formatter.CompileHeader(p.Dot("path_rewrite"), s.PathRewrite)
	}
	return d, err
}

func redirectCode(c routev3.RedirectAction_RedirectResponseCode) int {
	switch c {
	case routev3.RedirectAction_FOUND:
		return 302
	case routev3.RedirectAction_SEE_OTHER:
		return 303
	case routev3.RedirectAction_TEMPORARY_REDIRECT:
		return 307
	case routev3.RedirectAction_PERMANENT_REDIRECT:
		return 308
	}
	return 301
}

func (k *compiler) directResponse(p field.Path, c *routev3.DirectResponseAction) (*DirectResponse, error) {
	if err := field.Only(p, c, "status", "body", "body_format"); err != nil {
		return nil, err
	}
	if c.GetStatus() < 200 || c.GetStatus() > 599 {
		return nil, p.Dot("status").Errorf("the status must be 200 to 599, not %d", c.GetStatus())
	}
	d := &DirectResponse{Status: int(c.GetStatus())}
	var err error
	if c.GetBody() != nil {
		if d.Body, err = datasource.ReadAtMost(p.Dot("body"), c.GetBody(), k.maxBody); err != nil {
			return nil, err
		}
	}
	if f := c.GetBodyFormat(); f != nil {
		d.ContentType = formatter.ContentType(f)
		if d.Format, err = formatter.CompileFormatString(p.Dot("body_format"), f); err != nil {
			return nil, err
		}
	}
	return d, nil
}
