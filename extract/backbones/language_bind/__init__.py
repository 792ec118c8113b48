"""The `language_bind` backbone: LanguageBind's image, video, audio and text towers (docs/design.md 5)."""
