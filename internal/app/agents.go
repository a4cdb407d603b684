package app

import (
	"context"
	"maps"
	"net/http"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"portolan/internal/agent"
	"portolan/internal/gateway"
	"portolan/internal/secret"
)

// openAgents makes what lets agents in and dials through them.
func (a *App) openAgents(box *secret.Box) error {
	var err error
	a.agents, err = agent.New(agent.Config{DB: a.db, Box: box, Now: a.cfg.Now, Log: a.cfg.Log, Peer: func(r *http.Request) string {
		client, _ := gateway.Proxies(a.cfg.TrustedProxies).Client(r)
		return client.String()
	}})
	if err != nil {
		return err
	}
	a.metrics.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "portolan_agents", Help: "Agents that are connected to this server."},
			func() float64 { return float64(len(a.agents.Hub().Sessions())) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "portolan_agent_streams", Help: "Connections that agents carry for this server."}, a.agentStreams),
	)
	return nil
}

func (a *App) agentStreams() float64 {
	sum := 0
	for _, s := range a.agents.Hub().Sessions() {
		sum += s.Streams
	}
	return float64(sum)
}

// withAgents adds the handlers that agents call.
func (a *App) withAgents(handlers map[string]http.Handler) map[string]http.Handler {
	maps.Copy(handlers, a.agents.Hub().Handlers())
	return handlers
}

// watchAgents looks after the agents that are connected until stop, which cuts
// them: when no reading runs any more.
func (a *App) watchAgents(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var wg sync.WaitGroup
	wg.Go(func() { a.agents.Watch(ctx) })
	return func() {
		a.agents.Hub().Close()
		cancel()
		wg.Wait()
	}
}
