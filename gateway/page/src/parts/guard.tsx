// A view that fails does not take the page with it.

import { Component, type ComponentChildren } from "preact";
import { Trouble } from "./panels.js";

export class Guard extends Component<{ children: ComponentChildren }, { failure: string | null }> {
  override state = { failure: null };

  static override getDerivedStateFromError(error: unknown) {
    return { failure: String(error) };
  }

  override render() {
    if (this.state.failure === null) return this.props.children;
    return (
      <Trouble>This view failed: {this.state.failure}. Another one may work; so may this one, loaded anew.</Trouble>
    );
  }
}
