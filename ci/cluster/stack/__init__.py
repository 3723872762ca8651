"""What the platform runs on: Istio, Argo Rollouts, KServe, Prometheus and the metrics APIs, one file a component."""
