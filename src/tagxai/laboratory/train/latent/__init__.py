"""Training of `latent`, the second embedded model: a flow over the latents of the first one's codec."""
