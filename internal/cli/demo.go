package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"portolan/internal/app"
	"portolan/internal/cli/samples"
	"portolan/internal/iam"
	"portolan/internal/sign"
)

func (s *shell) demo() *cobra.Command {
	var once bool
	c := &cobra.Command{
		Use:   "demo",
		Short: "See it work: a server with sample images, in a few seconds",
		Long: `Starts a small registry with sample images and a Portolan server, both on this
machine only, adds the registry, reads it, and shows what the API answers.
The server goes on until Ctrl-C, so that you can try it with your own clients;
then everything is deleted.`,
		Example: "  portolan demo\n  portolan demo --once",
		Args:    takes(0),
		RunE:    func(c *cobra.Command, _ []string) error { return s.runDemo(c.Context(), once) },
	}
	c.Flags().BoolVar(&once, "once", false, "stop when all has been shown")
	return c
}

func (s *shell) runDemo(ctx context.Context, once bool) (err error) {
	folder, err := os.MkdirTemp("", "portolan-demo-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	ctx, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	registry, err := serveSamples(ctx, &wg)
	if err != nil {
		return err
	}
	d, err := s.startDemo(ctx, folder, &wg)
	if err != nil {
		return err
	}
	s.tell("A registry with sample images: http://%s\nA Portolan server:              %s", registry, d.client.address())
	if err := d.show(ctx, registry); err != nil {
		return err
	}
	if d.commands(once); once {
		return nil
	}
	s.tell("\nServing until Ctrl-C.")
	<-ctx.Done()
	return nil
}

// serveSamples serves the sample registry until the context ends.
func serveSamples(ctx context.Context, wg *sync.WaitGroup) (netip.AddrPort, error) {
	handler, err := samples.New()
	if err != nil {
		return netip.AddrPort{}, err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("listen for the sample registry: %w", err)
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	wg.Go(func() { _ = server.Serve(listener) }) // it ends by Close
	context.AfterFunc(ctx, func() { _ = server.Close() })
	return netip.ParseAddrPort(listener.Addr().String())
}

// demo is a server with a client for it.
type demo struct {
	*shell
	client      *client
	credentials iam.Credentials
}

func (s *shell) startDemo(ctx context.Context, folder string, wg *sync.WaitGroup) (*demo, error) {
	app.CollectSeldom(s.env("GOGC"))
	a, err := app.New(ctx, app.Config{
		Data: folder, Listen: "127.0.0.1:0", MetricsListen: app.Off, Log: app.Discard(),
		AllowDial: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
	})
	if err != nil {
		return nil, err
	}
	wg.Go(func() {
		if err := errors.Join(a.Run(ctx), a.Close()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			s.tell("portolan: %v", err)
		}
	})
	d := &demo{shell: s}
	if d.credentials, err = app.LoadCredentials(folder); err != nil {
		return nil, err
	}
	d.client = &client{
		line: s.line, patience: patience,
		endpoint: &url.URL{Scheme: "http", Host: a.Addr(), Path: "/"},
		key:      sign.Key{ID: d.credentials.AccessKeyID, Secret: d.credentials.AccessKeySecret},
	}
	d.client.http, err = operatorClient("")
	return d, err
}

// show adds the registry, waits until it is read, and prints what there is.
func (d *demo) show(ctx context.Context, registry netip.AddrPort) error {
	var added struct {
		Data struct {
			ID int64 `json:"Id"`
		}
	}
	err := d.client.call(ctx, "AddPrivateRegistry", params{
		"RegistryType": "oci", "RegistryName": "samples", "DomainName": registry.Addr().String(),
		"Port": strconv.Itoa(int(registry.Port())), "ProtocolType": "1",
	}, &added)
	if err != nil {
		return err
	}
	l, err := d.wait(ctx, d.client, added.Data.ID, "")
	if err != nil {
		return err
	}
	if err := d.result(l); err != nil {
		return err
	}
	d.print("\nPageImageRegistry answers:\n\n")
	body, err := d.client.send(ctx, sasCall("PageImageRegistry"), nil)
	if err != nil {
		return err
	}
	if err := d.answer(body); err != nil {
		return err
	}
	d.print("\nThe images (%s image list):\n\n", program())
	if _, err := d.list(ctx, d.client, "DescribeImageInstances", "ImageInstanceList", nil, listing{form: asTable, columns: imageColumns(false)}); err != nil {
		return err
	}
	d.print("\nWhere the number comes from (%s registry explain %d):\n\n", program(), added.Data.ID)
	if err := d.explain(ctx, d.client, added.Data.ID, asTable); err != nil {
		return err
	}
	return nil
}

// program is how this program was called, for commands to copy: what go run
// builds is gone when it ends.
func program() string {
	if strings.Contains(os.Args[0], "go-build") {
		return "go run ./cmd/portolan"
	}
	return os.Args[0]
}

// commands prints what to try next. The key is gone with the demo.
func (d *demo) commands(gone bool) {
	lead := "Try it with the official command line, or with this one:"
	if gone {
		lead = "The server has ended with this. Without --once it goes on, and then commands such as these\nwork until Ctrl-C, with the key that is printed then:"
	}
	d.print(`
%s

export %s=%s
export %s=%s
export %s=%s
aliyun sas PageImageRegistry --region cn-hangzhou --endpoint %s --insecure
%[9]s call Sas PageImageRegistry --RegistryTypeInList oci
%[9]s image find latest
`, lead, envKeyID, d.credentials.AccessKeyID, envSecret, d.credentials.AccessKeySecret,
		envEndpoint, "http://"+d.client.endpoint.Host, d.client.endpoint.Host, program())
}
