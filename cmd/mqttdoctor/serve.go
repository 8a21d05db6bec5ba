package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"syscall"

	"github.com/cli/browser"

	"mqttdoctor/web"
	"mqttdoctor/web/archive"
)

// runServe is the subcommand `mqttdoctor serve`. It prints the address and serves until the context ends.
func runServe(ctx context.Context, args []string, w world) int {
	config, err := web.ParseConfig(args, w.getenv, w.stdout)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err != nil:
		fmt.Fprintf(w.stderr, "mqttdoctor: %v\nmqttdoctor serve --help lists the flags.\n", err)
		return exitUsage
	}
	log := web.NewLog(w.stderr, config.LogFormat, config.LogLevel)
	server, err := web.New(ctx, config, web.Options{Log: log})
	switch {
	case err != nil && ctx.Err() != nil:
		return exitOK // it was told to end before it had begun
	case err != nil:
		fmt.Fprintf(w.stderr, "mqttdoctor: %v\n%s", err, advice(err, config))
		return exitFinding
	}
	address := server.URL()
	if config.PublicURL != nil {
		address = config.PublicURL.String()
	}
	fmt.Fprintf(w.stdout, "mqttdoctor is at %s (Ctrl+C ends it)\n", address)
	if config.Open && config.Loopback() && hasDisplay(w.getenv) {
		go openBrowser(server.URL()) // it may wait for the browser to end
	}
	if err := server.Run(ctx); err != nil {
		log.Error("ended", "err", err)
		return exitFinding
	}
	return exitOK
}

// advice is what to do about a server that does not start.
func advice(err error, c web.Config) string {
	switch {
	case errors.Is(err, archive.ErrInUse):
		return fmt.Sprintf("Another mqttdoctor works with the folder %s. End it, or choose another folder with --data.\n", c.Data)
	case errors.Is(err, syscall.EADDRINUSE):
		host, _, _ := net.SplitHostPort(c.Listen)
		return fmt.Sprintf("Something else listens on %s. Choose another port with --listen, or any free one with --listen %s.\n",
			c.Listen, net.JoinHostPort(host, "0"))
	}
	return ""
}

// hasDisplay tells whether a browser could be shown.
func hasDisplay(getenv func(string) string) bool {
	switch runtime.GOOS {
	case "windows", "darwin":
		return true
	}
	return getenv("DISPLAY") != "" || getenv("WAYLAND_DISPLAY") != ""
}

func openBrowser(url string) {
	browser.Stdout, browser.Stderr = io.Discard, io.Discard
	if err := browser.OpenURL(url); err != nil {
		fmt.Fprintln(os.Stderr, "The browser could not be opened; please open the address yourself.")
	}
}
